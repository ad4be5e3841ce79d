// All locks as the server tells them: a snapshot, and then each change. No page, no network.

import { hexOf, isPlain, shown } from "./bytes.js";

/** How many waits of a lock its sparkline shows. */
const WAITS = 30;
/** Of how many names that nobody holds the waits are remembered. */
const REMEMBERED = 10_000;
/** How long a lock stays in the list when nobody has it any more, so that it does not flicker. */
export const LINGER_MS = 4000;

/** Who holds or awaits a lock. */
export class Contender {
  constructor(told, at) {
    this.key = told.key ?? "";
    this.token = told.token ?? "0";
    this.session = told.session ?? "0";
    this.mode = told.mode ?? "EXCLUSIVE";
    this.permits = told.permits ?? 0;
    this.owner = told.owner ?? hexOf(this.session);
    this.labels = (told.labels ?? []).map(({ key = "", value = "" }) => [key, value]);
    this.door = told.door ?? "etcd";
    this.atMs = Number(told.at_ms ?? 0);
    const forMs = Number(told.for_ms ?? 0);
    /** Since when it holds or waits; null if nobody knows. */
    this.since = forMs < 0 ? null : at - forMs;
  }

  /** The session or lease as etcd's clients print it. */
  get lease() {
    return hexOf(this.session);
  }
}

/** One name with its holders and its queue. */
export class Lock {
  constructor(id, waits) {
    /** The name in base64. */
    this.id = id;
    this.name = shown(id);
    this.plain = isPlain(id);
    this.search = this.name.toLowerCase();
    this.holders = [];
    this.waiting = [];
    /** How long the last ones waited, in ms. */
    this.waits = waits;
    /** Since when nobody has it; null while somebody has. */
    this.freeSince = null;
  }

  get isFree() {
    return this.holders.length === 0 && this.waiting.length === 0;
  }

  /** Since when the first holder has it. */
  get heldSince() {
    return this.holders[0]?.since ?? null;
  }

  /** Whether `words`, all in lower case, all are in the name, an owner, a door or a label. A
   * whole lease counts, and a token with `#` before it. */
  matches(words) {
    return words.every(
      (word) =>
        this.search.includes(word) ||
        this.holders.some((holder) => says(holder, word)) ||
        this.waiting.some((waiter) => says(waiter, word)),
    );
  }
}

function says(contender, word) {
  return (
    contender.owner.toLowerCase().includes(word) ||
    contender.door.toLowerCase().includes(word) ||
    contender.lease === word ||
    `#${contender.token}` === word ||
    contender.labels.some(([key, value]) => `${key}=${value}`.toLowerCase().includes(word))
  );
}

/** Bigger tokens are younger; keys of one revision are ordered by their bytes. */
function inOrder(a, b) {
  return a.token.length - b.token.length || compare(a.token, b.token) || compare(a.key, b.key);
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** Puts somebody in line. Returns whether they were not there yet. */
function insert(line, contender) {
  let at = line.length;
  while (at > 0 && inOrder(line[at - 1], contender) > 0) at -= 1;
  const isNew = line[at - 1]?.key !== contender.key;
  if (isNew) line.splice(at, 0, contender);
  return isNew;
}

/** Takes a key out of a line and returns whose it was. */
function take(line, key) {
  const at = line.findIndex((contender) => contender.key === key);
  return at < 0 ? null : line.splice(at, 1)[0];
}

/** The whole list. */
export class Locks {
  /** @type {Map<string, Lock>} by name in base64 */
  #all = new Map();
  /** Names in their order, kept while they come and go. */
  #sorted = null;
  #free = new Set();
  #waits = new Map();
  #counts = { held: 0, waiting: 0 };
  /** Rises when a name comes or goes. */
  names = 0;
  /** The revision of what is told here. */
  revision = "0";

  get(id) {
    return this.#all.get(id);
  }

  get size() {
    return this.#all.size;
  }

  /** How many names are held, and how many contenders wait. */
  get counts() {
    return this.#counts;
  }

  [Symbol.iterator]() {
    return this.#all.values();
  }

  /** All locks by name. */
  sorted() {
    this.#sorted ??= [...this.#all.values()].sort((a, b) => compare(a.name, b.name));
    return this.#sorted;
  }

  /** Begins anew with what the server says that there is. */
  snapshot({ locks = [], revision = "0" }, at) {
    for (const lock of this.#all.values()) this.#remember(lock);
    this.#all.clear();
    this.#free.clear();
    this.#counts = { held: 0, waiting: 0 };
    this.revision = revision;
    for (const { name = "", holders = [], waiting = [] } of locks) {
      const lock = this.#make(name);
      lock.holders = holders.map((told) => new Contender(told, at));
      lock.waiting = waiting.map((told) => new Contender(told, at));
      this.#counts.held += lock.holders.length > 0 ? 1 : 0;
      this.#counts.waiting += lock.waiting.length;
    }
    this.#namesChanged();
  }

  /**
   * Enters a change. Returns what it means: the lock, the contender, and for who acquired how long
   * it waited, in ms: 0 if it never stood in a queue, null if nobody knows.
   */
  change({ kind = "QUEUED", name = "", contender: told = {}, revision = "0" }, at) {
    this.revision = revision;
    const contender = new Contender(told, at);
    const lock = this.#all.get(name) ?? this.#make(name);
    const held = lock.holders.length > 0;
    const waited = this.#enter(lock, kind, contender, at);
    this.#counts.held += (lock.holders.length > 0 ? 1 : 0) - (held ? 1 : 0);
    this.#settle(lock, at);
    return { kind, lock, contender, waited };
  }

  #enter(lock, kind, contender, at) {
    if (kind === "QUEUED") {
      this.#counts.waiting += insert(lock.waiting, contender) ? 1 : 0;
      return null;
    }
    const waiter = take(lock.waiting, contender.key);
    this.#counts.waiting -= waiter ? 1 : 0;
    if (kind !== "ACQUIRED") {
      take(lock.holders, contender.key);
      return null;
    }
    insert(lock.holders, contender);
    if (!waiter) return 0;
    if (waiter.since === null) return null;
    const waited = at - waiter.since;
    this.addWait(lock.id, waited);
    return waited;
  }

  #settle(lock, at) {
    if (!lock.isFree) {
      lock.freeSince = null;
      this.#free.delete(lock);
    } else if (lock.freeSince === null) {
      lock.freeSince = at;
      this.#free.add(lock);
    }
  }

  /** Drops what has been free for a while. Returns whether there was any. */
  sweep(at) {
    let gone = false;
    for (const lock of this.#free) {
      // They are in the order in which they became free.
      if (at - lock.freeSince < LINGER_MS) break;
      this.#free.delete(lock);
      this.#all.delete(lock.id);
      this.#remember(lock);
      gone = true;
    }
    if (gone) this.#namesChanged();
    return gone;
  }

  /** Notes how long somebody waited for a name. */
  addWait(id, ms) {
    const waits = this.#all.get(id)?.waits ?? this.#waits.get(id) ?? [];
    waits.push(ms);
    if (waits.length > WAITS) waits.shift();
    if (!this.#all.has(id)) this.#keep(id, waits);
  }

  #make(id) {
    const lock = new Lock(id, this.#waits.get(id) ?? []);
    this.#all.set(id, lock);
    this.#namesChanged();
    return lock;
  }

  #remember(lock) {
    if (lock.waits.length > 0) this.#keep(lock.id, lock.waits);
  }

  #keep(id, waits) {
    this.#waits.delete(id);
    this.#waits.set(id, waits);
    if (this.#waits.size > REMEMBERED) this.#waits.delete(this.#waits.keys().next().value);
  }

  #namesChanged() {
    this.#sorted = null;
    this.names += 1;
  }
}
