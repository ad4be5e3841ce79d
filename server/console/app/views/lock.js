// One lock: who holds it, who waits and in what order, how long they waited, who had it before.

import { call } from "../api.js";
import { bytesOf, isPlain, shown } from "../bytes.js";
import { Sparkline, summary } from "../chart.js";
import { atMostEvery, attribute, h, text } from "../dom.js";
import { Contender } from "../locks.js";
import { Table } from "../table.js";
import { age, count, dayAndTime, duration, now, timeOfDay } from "../time.js";
import { OwnerCell } from "./contender.js";

/** How many past holds are asked for: of all names that begin alike; and shown. */
const ASKED = 1000;
const SHOWN = 50;
/** How often they are asked for while the lock is passed on, in ms. */
const PAST_MS = 2000;

export class LockView {
  #root;
  #feed;
  #id = null;
  #lock = null;
  #name = h("h2", { id: "detail-name", tabindex: -1 });
  #facts = h("p", { class: "facts" });
  #line;
  #lineCount = h("span", { class: "quiet" });
  #nobody = h("p", { class: "hint" }, "Nobody holds or awaits this name now.");
  #lineBox;
  #waits = new Sparkline({ height: 40 });
  #waitsText = h("span");
  #past = h("ol", { class: "past" });
  #pastNote = h("p", { class: "hint" });
  #readPast = atMostEvery(PAST_MS, () => this.#askPast());

  /** `close()` leaves the lock; `force(id, contender)` asks whether to take it away. */
  constructor(root, feed, { close, force }) {
    this.#root = root;
    this.#feed = feed;
    const closing = h("button", { "aria-label": "Back to the list", title: "Back to the list (Esc)", on: { click: close } }, "✕");
    const grid = h("div", { class: "line", role: "grid", "aria-label": "Holders and queue", tabindex: 0 });
    this.#lineBox = h("div", { class: "line-scroller" }, grid);
    root.append(
      h("div", { class: "detail-head" }, this.#name, closing),
      this.#facts,
      section("Holders and queue", this.#lineCount, this.#lineBox, this.#nobody),
      section("Waits", this.#waitsText, this.#waits.element),
      section("History", null, this.#past, this.#pastNote),
    );
    this.#line = new Table({
      grid,
      scroller: this.#lineBox,
      idOf: ({ key }) => key,
      make: () => contenderRow((contender) => force(this.#id, contender)),
    });
  }

  /** The lock that is shown, as base64; null for none. */
  get id() {
    return this.#id;
  }

  /** Who is first, to be taken away by a key. */
  get first() {
    return this.#lock?.holders[0] ?? null;
  }

  get lock() {
    return this.#lock;
  }

  /** Shows the lock of a name; null for none. */
  show(id) {
    const another = id !== this.#id;
    this.#id = id;
    this.#root.hidden = id === null;
    if (id === null || !another) return;
    text(this.#name, shown(id) || "(empty)");
    this.#past.replaceChildren();
    text(this.#pastNote, "");
    this.changed();
    this.#askPast();
  }

  focus() {
    this.#name.focus();
  }

  /** Something has changed, or time has passed. */
  changed() {
    if (this.#id === null) return;
    this.#lock = this.#feed.locks.get(this.#id) ?? null;
    const holders = this.#lock?.holders ?? [];
    const waiting = this.#lock?.waiting ?? [];
    this.#line.show([...holders, ...waiting].map((contender, index) => ({
      key: contender.key,
      contender,
      place: index - holders.length + 1,
    })));
    this.#lineBox.hidden = holders.length + waiting.length === 0;
    this.#nobody.hidden = !this.#lineBox.hidden;
    text(this.#lineCount, `${count(holders.length)} hold, ${count(waiting.length)} wait`);
    const facts = this.#factsOf();
    text(this.#facts, facts);
    this.#facts.hidden = facts === "";
    const waits = this.#lock?.waits ?? [];
    this.#waits.show(waits);
    attribute(this.#waits.element, "hidden", waits.length === 0);
    text(this.#waitsText, summary(waits));
  }

  /** A hold of this lock has ended. */
  ended(id) {
    if (id === this.#id) this.#readPast();
  }

  #factsOf() {
    const odd = isPlain(this.#id) ? "" : `base64 ${this.#id}, ${bytesOf(this.#id).length} bytes. `;
    const first = this.first;
    if (!first) return odd;
    return `${odd}Held for ${age(first.since)} by ${first.owner}, fencing token ${first.token}`;
  }

  async #askPast() {
    const id = this.#id;
    if (id === null) return;
    const told = await call("/v1/locks/history", { prefix: id, limit: ASKED }).catch(() => null);
    if (id !== this.#id) return;
    if (!told) return text(this.#pastNote, "The history could not be read.");
    const holds = (told.holds ?? []).filter((hold) => (hold.name ?? "") === id);
    this.#past.replaceChildren(...holds.slice(0, SHOWN).map(pastHold));
    const since = dayAndTime(Number(told.since_ms ?? 0));
    text(this.#pastNote, `${holds.length > SHOWN ? `The last ${SHOWN}. ` : ""}This server has taken notes since ${since}.`);
  }
}

function section(title, note, ...content) {
  const heading = h("h3", {}, title, note ?? "");
  return h("section", { class: "section" }, heading, ...content);
}

function contenderRow(force) {
  const place = h("span", { class: "place" });
  const owner = new OwnerCell();
  const about = h("span");
  let shownNow = null;
  const release = h("button", { on: { click: () => force(shownNow) } }, "Release…");
  return {
    cells: [place, owner.element, about, h("span", {}, release)],
    show({ contender, place: position }, element) {
      shownNow = contender;
      const holds = position <= 0;
      text(place, holds ? "●" : String(position));
      attribute(place, "data-holds", holds);
      attribute(place, "title", holds ? "holds" : `number ${position} in the queue`);
      owner.show(contender);
      text(about, `${holds ? "held" : "waits"} ${age(contender.since, now())} · token ${contender.token} · lease ${contender.lease} · ${contender.door}`);
      attribute(release, "aria-label", `Force-release ${contender.owner}, token ${contender.token}`);
      attribute(element, "title", contender.atMs ? `since ${dayAndTime(contender.atMs)}` : null);
    },
  };
}

const HOW = { RELEASED: "released", EXPIRED: "expired", FORCED: "forced" };

function pastHold({ contender: whose = {}, how = "RELEASED", ended_ms: ended, waited_ms: waited, held_ms: held }) {
  const contender = new Contender(whose, now());
  const owner = new OwnerCell();
  owner.show(contender);
  const known = (ms) => (Number(ms ?? 0) < 0 ? null : Number(ms ?? 0));
  const told = `held ${duration(known(held))} · waited ${duration(known(waited))} · token ${contender.token} · ${contender.door}`;
  return h(
    "li",
    {},
    h("span", { class: how === "RELEASED" ? "quiet" : "bad" }, HOW[how] ?? how),
    owner.element,
    h("span", { class: "quiet" }, timeOfDay(Number(ended ?? 0))),
    h("span", { class: "more" }, told),
  );
}
