// The list of all locks.

import { Sparkline } from "../chart.js";
import { atMostEvery, attribute, byId, h, text } from "../dom.js";
import { Table } from "../table.js";
import { age, count, now } from "../time.js";
import { NameCell, OwnerCell } from "./contender.js";

/** How often the rows may change places, in ms. */
const REORDER_MS = 250;

const COLUMNS = [
  { title: "Name", sort: "name" },
  { title: "Holder" },
  { title: "Held for", sort: "held", number: true },
  { title: "Waiting", sort: "waiting", number: true },
  { title: "Last waits" },
];

/** The orders; where two locks are equal, the one by name stays. */
const ORDERS = {
  name: { by: null, descending: false },
  held: { by: (a, b) => (a.heldSince ?? -Infinity) - (b.heldSince ?? -Infinity), descending: true },
  waiting: { by: (a, b) => b.waiting.length - a.waiting.length, descending: true },
};

export class LocksView {
  #feed;
  #table;
  #words = [];
  #sort = "name";
  #reorder = atMostEvery(REORDER_MS, () => this.#arrange());

  /** `open(lock, options)` is called for a lock that is to be looked at. */
  constructor(feed, { open, moved }) {
    this.#feed = feed;
    this.#table = new Table({
      grid: byId("locks-grid"),
      scroller: byId("locks-scroller"),
      columns: COLUMNS,
      idOf: (lock) => lock.id,
      make: row,
      order: (sort) => this.#orderBy(sort),
      open,
      moved,
    });
    this.#table.sorted(this.#sort, false);
  }

  get table() {
    return this.#table;
  }

  /** Shows only what has all these words. */
  search(words) {
    this.#words = words;
    this.#arrange();
  }

  /** All locks are told anew. */
  begin() {
    this.#arrange();
  }

  /** The locks have changed. */
  changed() {
    this.#reorder();
    this.#table.refresh();
  }

  /** Time has passed. */
  tick() {
    this.#table.refresh();
  }

  #orderBy(sort) {
    this.#sort = sort;
    this.#table.sorted(sort, ORDERS[sort].descending);
    this.#arrange();
  }

  #arrange() {
    const all = this.#feed.locks.sorted();
    const found = this.#words.length ? all.filter((lock) => lock.matches(this.#words)) : all;
    const { by } = ORDERS[this.#sort];
    this.#table.show(by ? found.toSorted(by) : found);
    this.#sum(found.length, all.length);
  }

  #sum(found, all) {
    const of = found === all ? "" : ` of ${count(all)}`;
    text(byId("locks-count"), `${count(found)}${of} ${all === 1 ? "name" : "names"}`);
    const empty = byId("locks-empty");
    empty.hidden = found > 0;
    text(empty, all > 0 ? "No lock has all these words." : this.#nothing());
  }

  #nothing() {
    return this.#feed.connection.state === "live"
      ? "Nobody holds or awaits a lock.\nWhoever locks, by any client, is here at once; to see it, use Try it."
      : "Waiting for the server.";
  }
}

function row() {
  const name = new NameCell();
  const holder = new OwnerCell();
  const held = h("span", { class: "number" });
  const waiting = h("span", { class: "number" });
  const waits = new Sparkline();
  const spark = h("span", {}, waits.element);
  return {
    cells: [name.element, holder.element, held, waiting, spark],
    show(lock, element) {
      name.show(lock);
      if (lock.holders.length > 0) holder.show(lock.holders[0], lock.holders.length - 1);
      else holder.showNobody(lock.isFree ? "free" : "being handed over");
      text(held, lock.isFree ? "" : age(lock.heldSince, now()));
      text(waiting, count(lock.waiting.length));
      waiting.className = lock.waiting.length > 0 ? "number wait" : "number quiet";
      waits.show(lock.waits);
      attribute(element, "data-free", lock.isFree);
    },
  };
}
