// How often something happens: a count for each of the last seconds.

/** Counts of the last `length` seconds; null for those of which nothing is known. */
export class Rates {
  #counts;
  #second;

  constructor(length, at) {
    this.#counts = new Array(length).fill(null);
    this.#second = Math.floor(at / 1000);
  }

  /** It happened. */
  add(at, times = 1) {
    this.#advance(at);
    this.#counts[this.#counts.length - 1] += times;
  }

  /** It happened `ago` ms before, of which nothing was known yet. */
  addPast(at, ago) {
    this.#advance(at);
    const index = this.#counts.length - 1 - Math.floor(ago / 1000);
    if (index >= 0) this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  /** Everything that happened in the last `ms` is counted; what is not, did not happen. */
  knownFor(at, ms) {
    this.#advance(at);
    const known = Math.min(this.#counts.length, Math.floor(ms / 1000) + 1);
    for (let back = 1; back <= known; back += 1) this.#counts[this.#counts.length - back] ??= 0;
  }

  /** The counts of whole seconds, the last one last; the second that runs is not in it. */
  all(at) {
    this.#advance(at);
    return this.#counts.slice(0, -1);
  }

  #advance(at) {
    const second = Math.floor(at / 1000);
    const passed = Math.min(second - this.#second, this.#counts.length);
    if (passed <= 0) return;
    this.#counts.splice(0, passed);
    this.#counts.push(...new Array(passed).fill(0));
    this.#second = second;
  }
}
