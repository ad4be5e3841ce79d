// Puts the console together: views, keys, search, and what calls what.

import { byId, eachFrame, h } from "./dom.js";
import { Feed } from "./feed.js";
import { help, listen } from "./keys.js";
import { Overview, resolved } from "./overview.js";
import { follow, go, hrefOf, hrefOfLock, VIEWS } from "./router.js";
import { themes } from "./settings.js";
import { toast } from "./toast.js";
import { EventsView } from "./views/events.js";
import { ForceDialog } from "./views/force.js";
import { LockView } from "./views/lock.js";
import { LocksView } from "./views/locks.js";
import { SessionsView } from "./views/sessions.js";
import { TryView } from "./views/try.js";

/** So wide that the list and a lock have room side by side. */
const wide = matchMedia("(min-width: 901px)");

const feed = new Feed();
const overview = new Overview(feed);
const force = new ForceDialog(feed);
const detail = new LockView(byId("detail"), feed, {
  close: leaveLock,
  force: (id, contender) => force.open(id, contender),
});
const locks = new LocksView(feed, { open: openLock, moved: followCursor });
const sessions = new SessionsView(feed, { open: showLocksOf });
const events = new EventsView(feed);
new TryView();
const tables = { locks, sessions, events };
const search = byId("search");
let view = "locks";

function openLock(lock) {
  go(hrefOfLock(lock.id));
  if (!wide.matches) detail.focus();
}

function showLocksOf(lease) {
  search.value = lease.hex;
  searched();
  go(hrefOf("locks"));
}

/** Where both are in sight, the open lock is the one under the cursor. */
function followCursor(lock) {
  if (detail.id !== null && wide.matches) go(hrefOfLock(lock.id), { replace: true });
}

function leaveLock() {
  go(hrefOf("locks"));
  locks.table.focus();
}

function showPlace({ view: next, lock }) {
  view = next;
  for (const name of Object.keys(VIEWS)) {
    byId(`view-${name}`).hidden = name !== view;
    const link = document.querySelector(`nav a[data-view="${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("view-locks").toggleAttribute("data-open", lock !== null);
  detail.show(lock);
  locks.table.choose(lock);
  sessions.visible = view === "sessions";
  events.visible = view === "events";
  search.disabled = !(view in tables);
}

const showLocks = eachFrame(() => {
  overview.figures();
  detail.changed();
  force.changed();
});

feed.listen((what, which) => {
  if (what === "ended") detail.ended(which);
  if (what === "deadlock") toast(resolved(which));
  if (what === "snapshot") locks.begin();
  if (what === "past") overview.tick();
  if (what === "connection") overview.connection();
  if (what === "sessions") {
    overview.sessions();
    sessions.changed();
  }
  if (what === "locks" || what === "connection") {
    locks.changed();
    events.changed();
    showLocks();
  }
});

function searched() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const each of Object.values(tables)) each.search(words);
}

function escape(event) {
  if (event.target === search && search.value) {
    search.value = "";
    searched();
  } else if (event.target === search) {
    tables[view]?.table.focus();
  } else if (detail.id !== null) {
    leaveLock();
  }
  event.preventDefault();
}

function forceFirst() {
  const lock = detail.id === null ? locks.table.current : feed.locks.get(detail.id);
  if (view === "locks" && lock?.holders[0]) force.open(lock.id, lock.holders[0]);
}

function move(rows) {
  const table = tables[view]?.table;
  if (!table) return;
  table.focus();
  table.moveBy(rows);
  if (table === locks.table && table.current) followCursor(table.current);
}

const nextTheme = themes(byId("theme"));
const showHelp = help();
byId("help-button").addEventListener("click", showHelp);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
search.addEventListener("input", searched);
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === "ArrowDown") tables[view]?.table.focus();
});
listen({
  "/": () => search.focus(),
  "?": showHelp,
  j: () => move(1),
  k: () => move(-1),
  f: forceFirst,
  p: () => view === "events" && events.togglePause(),
  t: nextTheme,
  g: () => {},
  go: {
    l: () => go(hrefOf("locks")),
    s: () => go(hrefOf("sessions")),
    e: () => go(hrefOf("events")),
    t: () => go(hrefOf("try")),
  },
  Escape: escape,
});

for (const [name, title] of Object.entries(VIEWS)) {
  byId("nav").append(h("a", { href: hrefOf(name), data: { view: name } }, title));
}
follow(showPlace);
feed.start();
overview.tick();
setInterval(() => {
  overview.tick();
  overview.connection();
  locks.tick();
  sessions.tick();
  detail.changed();
  force.changed();
}, 1000);
