// Leases, and the sessions among them, with the time that each has left.

import { call } from "../api.js";
import { hexOf } from "../bytes.js";
import { attribute, byId, h, text } from "../dom.js";
import { Table } from "../table.js";
import { count, duration, now } from "../time.js";

/** How often leases are listed, and how old what is known of one in sight may be, in ms. */
const LIST_MS = 3000;
const FRESH_MS = 2000;
/** How many leases are asked about at a time. */
const AT_ONCE = 4;

const COLUMNS = [
  { title: "Lease" },
  { title: "Kind" },
  { title: "TTL", number: true },
  { title: "Left" },
  { title: "Holds", number: true },
  { title: "Waits", number: true },
  { title: "Locks" },
];

/** What is known of a lease. */
class Lease {
  constructor(id) {
    this.id = id;
    this.hex = hexOf(id);
    this.session = null;
    this.ttl = null;
    this.endsAt = null;
    this.askedAt = -Infinity;
    this.locks = [];
    this.holds = 0;
    this.waits = 0;
  }

  /** How long it lives if nobody does anything; null if that is not known. */
  left(at) {
    return this.endsAt === null ? null : Math.max(0, this.endsAt - at);
  }
}

export class SessionsView {
  #feed;
  #table;
  #words = [];
  #leases = new Map();
  #inSight = new Set();
  #asking = 0;
  #visible = false;
  #listedAt = -Infinity;
  #failed = null;

  /** `open(lease)` is called for a lease of which the locks are to be seen. */
  constructor(feed, { open }) {
    this.#feed = feed;
    this.#table = new Table({
      open,
      grid: byId("sessions-grid"),
      scroller: byId("sessions-scroller"),
      columns: COLUMNS,
      idOf: (lease) => lease.id,
      make: () => this.#row(),
    });
  }

  get table() {
    return this.#table;
  }

  set visible(visible) {
    this.#visible = visible;
    if (visible) this.tick();
  }

  search(words) {
    this.#words = words;
    this.#show();
  }

  /** Time has passed. */
  tick() {
    if (!this.#visible) return;
    if (now() - this.#listedAt >= LIST_MS) this.#list();
    this.#ask();
    this.#table.refresh();
  }

  /** The feed has looked at the sessions. */
  changed() {
    if (!this.#visible) return;
    for (const [id, told] of this.#feed.sessions) {
      const lease = this.#leases.get(id);
      if (lease) this.#enter(lease, told);
    }
    this.#show();
  }

  #enter(lease, told) {
    lease.session = told;
    lease.ttl = Number(told.ttl_ms ?? 0);
    lease.endsAt = this.#feed.lookedAt + Number(told.valid_for_ms ?? 0);
    lease.askedAt = this.#feed.lookedAt;
  }

  async #list() {
    this.#listedAt = now();
    try {
      const { leases = [] } = await call("/v3/lease/leases");
      this.#failed = null;
      const known = this.#leases;
      this.#leases = new Map(leases.map(({ ID = "0" }) => [ID, known.get(ID) ?? new Lease(ID)]));
      this.changed();
      this.#feed.look();
      // When the rows that are in sight have been drawn.
      requestAnimationFrame(() => requestAnimationFrame(() => this.#ask()));
    } catch (error) {
      this.#failed = error.message;
      this.#show();
    }
  }

  /** Who holds and awaits what, by lease. */
  #count() {
    for (const lease of this.#leases.values()) {
      lease.locks = [];
      lease.holds = lease.waits = 0;
    }
    for (const lock of this.#feed.locks) {
      for (const { session } of lock.holders) this.#add(session, lock, "holds");
      for (const { session } of lock.waiting) this.#add(session, lock, "waits");
    }
  }

  #add(session, lock, what) {
    const lease = this.#leases.get(session);
    if (!lease) return;
    lease[what] += 1;
    lease.locks.push(lock.name);
  }

  #show() {
    this.#count();
    const has = (lease, word) =>
      lease.hex.includes(word) || kindOf(lease).includes(word) || lease.locks.some((name) => name.toLowerCase().includes(word));
    const all = [...this.#leases.values()];
    const found = all.filter((lease) => this.#words.every((word) => has(lease, word)));
    found.sort((a, b) => (a.session ? 0 : 1) - (b.session ? 0 : 1) || (a.hex < b.hex ? -1 : 1));
    this.#table.show(found);
    const empty = byId("sessions-empty");
    empty.hidden = found.length > 0;
    text(empty, this.#failed ?? (all.length > 0 ? "No lease has all these words." : "There is no lease."));
    const sessions = all.filter((lease) => lease.session).length;
    text(byId("sessions-count"), `${count(found.length)}${found.length < all.length ? ` of ${count(all.length)}` : ""} leases, ${count(sessions)} of them sessions`);
  }

  /** Asks how long the leases in sight have left, a few at a time, the longest unasked first. */
  #ask() {
    const old = now() - FRESH_MS;
    const due = [...this.#inSight].filter((lease) => lease.askedAt < old && this.#leases.has(lease.id));
    this.#inSight.clear();
    due.sort((a, b) => a.askedAt - b.askedAt);
    for (const lease of due) this.#askOne(lease);
  }

  async #askOne(lease) {
    if (lease.session || this.#asking >= AT_ONCE) return;
    lease.askedAt = now();
    this.#asking += 1;
    try {
      const told = await call("/v3/lease/timetolive", { ID: lease.id });
      const left = Number(told.TTL ?? 0);
      if (left < 0) this.#leases.delete(lease.id);
      lease.ttl = Number(told.grantedTTL ?? 0) * 1000;
      lease.endsAt = now() + left * 1000;
      this.#table.refresh();
    } catch {
      // It is asked again, and the connection's state says that the server does not answer.
    } finally {
      this.#asking -= 1;
    }
  }

  #row() {
    const [id, kind, ttl, holds, waits, names] = ["name", "", "number", "number", "number", "quiet"].map((each) => h("span", { class: each }));
    const bar = h("progress", { max: 1, "aria-label": "time left" });
    const left = h("span");
    return {
      cells: [id, kind, ttl, h("span", { class: "rest" }, bar, left), holds, waits, names],
      show: (lease) => {
        this.#inSight.add(lease);
        text(id, lease.hex);
        text(kind, kindOf(lease));
        kind.className = lease.session && !lease.session.connected ? "wait" : "";
        text(ttl, lease.ttl === null ? "…" : duration(lease.ttl));
        showLeft(lease, bar, left);
        text(holds, String(lease.holds));
        text(waits, String(lease.waits));
        text(names, lease.locks.slice(0, 8).join(", "));
      },
    };
  }
}

function kindOf({ session }) {
  if (!session) return "lease";
  const state = session.connected ? "connected" : "can be resumed";
  return session.bound ? "session, bound" : `session, ${state}`;
}

function showLeft(lease, bar, left) {
  const ms = lease.left(now());
  const share = ms === null || !lease.ttl ? 0 : Math.min(1, ms / lease.ttl);
  if (bar.value !== share) bar.value = share;
  attribute(bar, "data-low", ms !== null && share < 0.34);
  text(left, ms === null ? "…" : duration(ms < 10_000 ? ms : Math.round(ms / 1000) * 1000));
}
