// What happens, as it happens, the newest first.

import { attribute, byId, eachFrame, h, text } from "../dom.js";
import { go, hrefOfLock } from "../router.js";
import { Table } from "../table.js";
import { count, duration, timeOfDay, unixOf } from "../time.js";
import { NameCell, OwnerCell } from "./contender.js";

const COLUMNS = [
  { title: "Time" },
  { title: "What" },
  { title: "Name" },
  { title: "Owner" },
  { title: "Token", number: true },
  { title: "Waited", number: true },
];

/** The kinds, and how each looks. */
const KINDS = {
  QUEUED: "wait",
  ACQUIRED: "good",
  RELEASED: "quiet",
  EXPIRED: "bad",
  FORCED: "bad",
  LEFT: "quiet",
};

export class EventsView {
  #feed;
  #table;
  #words = [];
  #kinds = new Set(Object.keys(KINDS));
  #pausedAt = null;
  #pause = h("button", { "aria-pressed": "false", "aria-keyshortcuts": "p", on: { click: () => this.togglePause() } }, "Pause");
  #arrange = eachFrame(() => this.#show());
  #visible = false;

  constructor(feed) {
    this.#feed = feed;
    this.#table = new Table({
      grid: byId("events-grid"),
      scroller: byId("events-scroller"),
      columns: COLUMNS,
      idOf: (event) => event.number,
      make: row,
      open: (event) => go(hrefOfLock(event.id)),
    });
    byId("events-tools").append(this.#pause, ...Object.keys(KINDS).map((kind) => this.#choice(kind)));
  }

  get table() {
    return this.#table;
  }

  #choice(kind) {
    const box = h("input", { type: "checkbox", on: { change: () => this.#choose(kind, box.checked) } });
    box.checked = true;
    return h("label", {}, box, kind.toLowerCase());
  }

  #choose(kind, wanted) {
    if (wanted) this.#kinds.add(kind);
    else this.#kinds.delete(kind);
    this.#arrange();
  }

  set visible(visible) {
    this.#visible = visible;
    if (visible) this.#arrange();
  }

  search(words) {
    this.#words = words;
    this.#arrange();
  }

  changed() {
    if (this.#visible && this.#pausedAt === null) this.#arrange();
    if (this.#pausedAt !== null) this.#sayPaused();
  }

  togglePause() {
    this.#pausedAt = this.#pausedAt === null ? this.#feed.eventCount : null;
    attribute(this.#pause, "aria-pressed", String(this.#pausedAt !== null));
    text(this.#pause, this.#pausedAt === null ? "Pause" : "Go on");
    this.#arrange();
  }

  #show() {
    const until = this.#pausedAt ?? Infinity;
    const wanted = (event) =>
      event.number <= until && this.#kinds.has(event.kind) && matches(event, this.#words);
    const events = this.#feed.lastEvents().filter(wanted).reverse();
    this.#table.show(events);
    const empty = byId("events-empty");
    empty.hidden = events.length > 0;
    text(empty, this.#feed.eventCount === 0 ? "Nothing has happened since this page was opened." : "No event is of these kinds with these words.");
    if (this.#pausedAt === null) text(byId("events-count"), `${count(events.length)} events since this page was opened`);
    else this.#sayPaused();
  }

  #sayPaused() {
    const missed = this.#feed.eventCount - this.#pausedAt;
    text(byId("events-count"), `Paused; ${count(missed)} events since`);
  }
}

function matches({ name, contender }, words) {
  if (words.length === 0) return true;
  const all = `${name} ${contender.owner} #${contender.token} ${contender.door}`.toLowerCase();
  return words.every((word) => all.includes(word));
}

function row() {
  const [time, what, token, waited] = ["quiet mono", "", "number mono", "number quiet"].map((kind) => h("span", { class: kind }));
  const name = new NameCell();
  const owner = new OwnerCell();
  return {
    cells: [time, what, name.element, owner.element, token, waited],
    show(event) {
      text(time, timeOfDay(unixOf(event.at)));
      text(what, event.kind.toLowerCase());
      what.className = KINDS[event.kind] ?? "";
      name.show(event);
      owner.show(event.contender);
      text(token, event.contender.token);
      text(waited, event.kind === "ACQUIRED" ? duration(event.waited) : "");
    },
  };
}
