// What happens at the server, kept up to date: the locks, the last events, rates, the connection.
// Views read from it, and are called when something has changed.

import { call, Stream } from "./api.js";
import { atMostEvery } from "./dom.js";
import { Locks } from "./locks.js";
import { Rates } from "./rates.js";
import { now } from "./time.js";

/** How many events are kept. */
const EVENTS = 5000;
/** How many seconds the chart shows. */
export const SECONDS = 300;
/** How many past holds the sparklines begin with. */
const PAST = 2000;
const SWEEP_MS = 500;
const LOOK_MS = 15_000;
const SOON_MS = 500;

export class Feed {
  locks = new Locks();
  /** The last events, the newest last, each with a number that rises. */
  events = [];
  eventCount = 0;
  grants = new Rates(SECONDS + 1, now());
  handOffs = new Rates(SECONDS + 1, now());
  /** `connecting`, `live` or `lost`, and when it is tried again. */
  connection = { state: "connecting", retryAt: 0 };
  /** Sessions, and deadlocks that nobody has resolved, as of the last look. */
  sessions = new Map();
  deadlocks = [];
  lookedAt = 0;
  /** When the stream was last known to be alive; null if it never was. */
  heardAt = null;
  #listeners = new Set();
  #stream;
  #begun = false;
  #lookSoon = atMostEvery(SOON_MS, () => this.look());

  start() {
    this.#stream = new Stream("/v1/locks/watch", {}, {
      message: (result) => this.#hear(result),
      state: (state, retryAt = 0) => {
        if (state === "lost" && this.connection.state === "live") this.heardAt = now();
        this.connection = { state, retryAt };
        this.#tell("connection");
      },
    });
    this.#stream.open();
    addEventListener("online", () => this.#stream.open());
    addEventListener("offline", () => this.#stream.suspect());
    setInterval(() => this.locks.sweep(now()) && this.#tell("locks"), SWEEP_MS);
    setInterval(() => this.look(), LOOK_MS);
    document.addEventListener("visibilitychange", () => this.look());
  }

  /** Connects now. */
  retry() {
    this.#stream.open();
  }

  /**
   * Calls `listener(what)` when `locks`, `connection` or `sessions` have changed, for a new `snapshot`
   * of the locks, and when the `past` is known; `listener("ended", name)` when a hold has ended; `listener("deadlock", deadlock)` when
   * one was found.
   */
  listen(listener) {
    this.#listeners.add(listener);
  }

  #tell(what, which = null) {
    for (const listener of this.#listeners) listener(what, which);
  }

  #hear(result) {
    const at = now();
    if (result.snapshot) {
      this.locks.snapshot(result, at);
      this.deadlocks = result.deadlocks ?? [];
      this.#tell("snapshot");
      this.#begin();
    } else {
      for (const deadlock of result.deadlocks ?? []) this.#tell("deadlock", deadlock);
    }
    for (const event of result.events ?? []) this.#enter(event, at);
    // Nothing tells that a deadlock has ended, but that something has changed.
    if (result.deadlocks || this.deadlocks.length > 0) this.#lookSoon();
    this.#tell("locks");
  }

  #enter(event, at) {
    const { kind, lock, contender, waited } = this.locks.change(event, at);
    if (kind === "ACQUIRED") {
      this.grants.add(at);
      if (waited !== 0) this.handOffs.add(at);
    } else if (kind !== "QUEUED" && kind !== "LEFT") {
      this.#tell("ended", lock.id);
    }
    this.eventCount += 1;
    const { id, name } = lock;
    const { revision = "0" } = event;
    this.events.push({ number: this.eventCount, at, kind, id, name, contender, waited, revision });
    if (this.events.length > 2 * EVENTS) this.events.splice(0, this.events.length - EVENTS);
  }

  /** The last events, the newest last. */
  lastEvents() {
    return this.events.slice(-EVENTS);
  }

  /** On the first connection: what happened before, and what the stream does not tell. */
  #begin() {
    this.look();
    for (const rates of [this.grants, this.handOffs]) rates.knownFor(now(), 0);
    if (this.#begun) return;
    this.#begun = true;
    this.#readPast().catch(() => (this.#begun = false));
  }

  async #readPast() {
    const asked = now();
    const past = await call("/v1/locks/history", { limit: PAST });
    const holds = (past.holds ?? []).reverse();
    for (const { name = "", waited_ms: waited } of holds) {
      if (Number(waited ?? 0) > 0) this.locks.addWait(name, Number(waited));
    }
    this.#readRates(holds, Number(past.since_ms ?? 0), asked);
    this.#tell("locks");
  }

  /** Grants of which the holds have ended, up to now; the stream tells of those that come. */
  #readRates(holds, since, at) {
    // The server's clock and this one differ; the last hold has ended by now.
    const serverNow = Math.max(Date.now(), Number(holds.at(-1)?.ended_ms ?? 0));
    for (const { ended_ms: ended = 0, held_ms: held = 0, waited_ms: waited = 0 } of holds) {
      const ago = serverNow - Number(ended) + Math.max(0, Number(held));
      this.grants.addPast(at, ago);
      if (Number(waited) > 0) this.handOffs.addPast(at, ago);
    }
    const oldest = holds.length === PAST ? Number(holds[0].ended_ms ?? 0) : since;
    for (const rates of [this.grants, this.handOffs]) rates.knownFor(at, serverNow - oldest);
    this.#tell("past");
  }

  /** Asks for sessions and deadlocks. */
  async look() {
    if (this.connection.state !== "live" || document.hidden) return;
    try {
      const answer = await call("/v1/locks/list", { limit: 1, sessions: true });
      this.lookedAt = now();
      this.sessions = new Map((answer.sessions ?? []).map((each) => [each.session, each]));
      this.deadlocks = answer.deadlocks ?? [];
      this.#tell("sessions");
    } catch {
      // A server that does not answer at all has most likely lost the stream, too.
      this.#stream.suspect();
    }
  }
}
