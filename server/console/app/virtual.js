// A list of which only the rows in sight exist. Rows are made once and filled anew as one scrolls.

import { eachFrame } from "./dom.js";

/** Rows beyond the edges, so that a little scrolling shows no gap. */
const SPARE = 6;

/**
 * In `scroller`, which scrolls, a `body` as high as all rows. `make()` returns a row as
 * `{ element, show(index) }`; `height()` says how high a row is, in px.
 */
export class VirtualList {
  #scroller;
  #body;
  #make;
  #height;
  #rows = [];
  #count = 0;
  #draws = 0;
  refresh;

  constructor({ scroller, body, make, height }) {
    this.#scroller = scroller;
    this.#body = body;
    this.#make = make;
    this.#height = height;
    this.refresh = eachFrame(() => this.#draw());
    scroller.addEventListener("scroll", this.refresh, { passive: true });
    new ResizeObserver(this.refresh).observe(scroller);
  }

  /** There are so many rows now, whatever they say. */
  set count(count) {
    this.#count = count;
    this.refresh();
  }

  get count() {
    return this.#count;
  }

  /** How many rows one page has. */
  get page() {
    return Math.max(1, Math.floor(this.#scroller.clientHeight / this.#height()) - 1);
  }

  /** Scrolls until a row is in sight. */
  reveal(index) {
    const height = this.#height();
    // There may be rows that have not been drawn yet.
    this.#resize(height);
    const above = this.#body.offsetTop;
    const [from, to] = [index * height, (index + 1) * height];
    const { scrollTop, clientHeight } = this.#scroller;
    // The head of a table sticks to the upper edge.
    if (from < scrollTop) this.#scroller.scrollTop = from;
    else if (to + above > scrollTop + clientHeight) {
      this.#scroller.scrollTop = to + above - clientHeight;
    }
    this.refresh();
  }

  #draw() {
    const height = this.#height();
    this.#draws += 1;
    this.#resize(height);
    const { scrollTop, clientHeight } = this.#scroller;
    const first = Math.max(0, Math.floor(scrollTop / height) - SPARE);
    const wanted = Math.ceil(clientHeight / height) + 2 * SPARE;
    const last = Math.min(this.#count, first + wanted);
    this.#have(Math.min(wanted, this.#count));
    for (let index = first; index < last; index += 1) this.#place(index, height);
    this.#hideOthers();
  }

  #resize(height) {
    const total = `${this.#count * height}px`;
    if (this.#body.style.height !== total) this.#body.style.height = total;
  }

  #have(count) {
    while (this.#rows.length < count) {
      const row = { ...this.#make(), drawn: 0, top: "" };
      this.#rows.push(row);
      this.#body.append(row.element);
    }
  }

  /** A row keeps its element while it is in sight: slot and index have the same remainder. */
  #place(index, height) {
    const row = this.#rows[index % this.#rows.length];
    const top = `translateY(${index * height}px)`;
    if (row.top !== top) {
      row.element.style.transform = top;
      row.top = top;
    }
    row.drawn = this.#draws;
    row.element.hidden = false;
    row.show(index);
  }

  #hideOthers() {
    for (const row of this.#rows) {
      if (row.drawn !== this.#draws) row.element.hidden = true;
    }
  }
}
