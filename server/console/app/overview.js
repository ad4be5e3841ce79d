// What is always in sight: the connection, a few figures, the chart, and deadlocks.

import { shown } from "./bytes.js";
import { RateChart } from "./chart.js";
import { attribute, byId, h, text } from "./dom.js";
import { hrefOfLock } from "./router.js";
import { clockTime, count, now, unixOf, wholeSeconds } from "./time.js";

const STATES = { connecting: "connecting", live: "live", lost: "no connection" };

export class Overview {
  #feed;
  #deadlocks = "[]";
  #chart = new RateChart(byId("chart"));

  constructor(feed) {
    this.#feed = feed;
    byId("retry").addEventListener("click", () => feed.retry());
  }

  /** The connection is in another state. */
  connection() {
    const { state, retryAt } = this.#feed.connection;
    const pill = byId("connection");
    attribute(pill, "data-state", state);
    const seconds = Math.ceil(Math.max(0, retryAt - now()) / 1000);
    attribute(pill, "title", state === "lost" ? `tried again in ${seconds} s` : null);
    text(pill, STATES[state]);
    byId("retry").hidden = state !== "lost";
    // While it connects again, what is shown is still old.
    if (state !== "connecting") this.#stale(state === "lost");
  }

  #stale(is) {
    const box = byId("stale");
    box.hidden = !is;
    if (!is) return;
    const heard = this.#feed.heardAt;
    text(box, heard === null ? "The server does not answer." : `The server does not answer. This is how it was at ${clockTime(unixOf(heard))}.`);
  }

  /** The locks have changed. */
  figures() {
    const { held, waiting } = this.#feed.locks.counts;
    text(byId("figure-held"), count(held));
    text(byId("figure-waiting"), count(waiting));
    document.title = `latchd: ${count(held)} held, ${count(waiting)} waiting`;
  }

  /** A second has passed. */
  tick() {
    const at = now();
    text(byId("figure-longest"), this.#longest(at));
    this.#chart.show(this.#feed.grants.all(at), this.#feed.handOffs.all(at));
  }

  #longest(at) {
    let longest = null;
    for (const { waiting } of this.#feed.locks) {
      const since = waiting[0]?.since ?? null;
      if (since !== null) longest = Math.max(longest ?? 0, at - since);
    }
    return wholeSeconds(longest);
  }

  /** What is known of sessions and deadlocks has changed. */
  sessions() {
    text(byId("figure-sessions"), count(this.#feed.sessions.size));
    const box = byId("deadlocks");
    const { deadlocks } = this.#feed;
    box.hidden = deadlocks.length === 0;
    const told = JSON.stringify(deadlocks);
    if (told === this.#deadlocks) return;
    this.#deadlocks = told;
    box.replaceChildren(...deadlocks.map(paragraph));
  }
}

/** A deadlock with ways to its locks. */
function paragraph({ waits = [] }) {
  const wait = ({ owner = "", name = "" }, index) => [
    index > 0 ? ", " : "",
    h("bdi", {}, owner),
    " waits for ",
    h("a", { href: hrefOfLock(name) }, h("bdi", {}, shown(name))),
  ];
  return h("p", {}, "Deadlock: ", ...waits.flatMap(wait), ". Force-release one of them to end it.");
}

/** Who waits for whom, in words. */
function circle({ waits = [] }) {
  return waits.map(({ owner = "", name = "" }) => `${owner} waits for ${shown(name)}`).join(", ");
}

/** What became of a deadlock that was resolved; null for one that was not. */
export function resolved(deadlock) {
  const victim = deadlock.waits?.find(({ key }) => deadlock.victim && key === deadlock.victim);
  return victim ? `Deadlock: ${circle(deadlock)}. The wait of ${victim.owner} was aborted.` : null;
}
