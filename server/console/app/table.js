// A table of any length for mouse, keyboard and screen readers: the rows in sight, and a cursor that
// stays with its row when others come and go.

import { attribute, h } from "./dom.js";
import { VirtualList } from "./virtual.js";

let tables = 0;

/** How high rows are is for the style to say: it is another height on a phone. */
function rowHeightOf(scroller) {
  let height = 0;
  addEventListener("resize", () => (height = 0));
  return () => {
    height ||= Number.parseFloat(getComputedStyle(scroller).getPropertyValue("--row"));
    return height;
  };
}

export class Table {
  #grid;
  #options;
  #list;
  #id = `table${(tables += 1)}`;
  #cursor = { index: -1, id: null };
  #chosen = null;
  #titles = [];
  /** What the rows show. */
  items = [];

  /**
   * `columns`: `{ title, sort }`, where `sort` names an order. `make()` returns a row as
   * `{ cells, show(item) }`. `idOf(item)` tells rows apart. `open(item, { byCursor })`, if given, is
   * called for the row that is clicked, or on which Enter is pressed. `order(sort)` is called for a
   * title that is clicked.
   */
  constructor({ grid, scroller, columns, ...options }) {
    this.#grid = grid;
    this.#options = options;
    const body = h("div", { class: "rows", role: "rowgroup" });
    if (columns) grid.append(this.#head(columns));
    grid.append(body);
    const height = rowHeightOf(scroller);
    this.#list = new VirtualList({ scroller, body, height, make: () => this.#row() });
    grid.addEventListener("keydown", (event) => this.#key(event));
    grid.addEventListener("focus", () => this.#cursor.index < 0 && this.moveTo(0));
  }

  #head(columns) {
    const cells = columns.map(({ title, sort, number }) => {
      const order = () => this.#options.order(sort);
      const inner = sort ? h("button", { tabindex: -1, on: { click: order } }, title) : title;
      return h("span", { role: "columnheader", class: number ? "number" : null, data: { sort: sort ?? "" } }, inner);
    });
    this.#titles = cells;
    return h("div", { class: "heads", role: "rowgroup" }, h("div", { class: "head", role: "row" }, ...cells));
  }

  /** Marks the column that the rows are ordered by. */
  sorted(sort, descending) {
    for (const title of this.#titles) {
      const order = descending ? "descending" : "ascending";
      attribute(title, "aria-sort", title.dataset.sort && title.dataset.sort === sort ? order : null);
    }
  }

  #row() {
    const { cells, show } = this.#options.make();
    for (const cell of cells) cell.setAttribute("role", "gridcell");
    const opens = this.#options.open ? { opens: "" } : {};
    const element = h("div", { class: "row", role: "row", data: opens }, ...cells);
    let at = -1;
    element.addEventListener("click", (event) => this.#clicked(event, at));
    return {
      element,
      show: (index) => {
        at = index;
        this.#mark(element, index);
        show(this.items[index], element, index);
      },
    };
  }

  #mark(element, index) {
    attribute(element, "aria-rowindex", index + 1);
    attribute(element, "id", `${this.#id}-${index}`);
    attribute(element, "data-cursor", index === this.#cursor.index);
    const chosen = this.#chosen !== null && this.#options.idOf(this.items[index]) === this.#chosen;
    attribute(element, "aria-selected", this.#options.open ? String(chosen) : null);
  }

  #clicked(event, index) {
    if (event.target.closest("button, a") || !this.#options.open) return;
    this.moveTo(index);
    this.#options.open(this.items[index], { byCursor: false });
  }

  /** The rows are these now. */
  show(items) {
    this.items = items;
    const { index, id } = this.#cursor;
    if (id !== null && (!items[index] || this.#options.idOf(items[index]) !== id)) {
      const found = items.findIndex((item) => this.#options.idOf(item) === id);
      this.#cursor.index = found >= 0 ? found : Math.min(index, items.length - 1);
    }
    attribute(this.#grid, "aria-rowcount", items.length);
    this.#list.count = items.length;
    if (id === null && this.#chosen !== null) this.#goToChosen();
  }

  /** Brings the row that is open into sight, where it was open before there were rows. */
  #goToChosen() {
    const index = this.items.findIndex((item) => this.#options.idOf(item) === this.#chosen);
    if (index >= 0) this.moveTo(index);
  }

  /** What the rows say may have changed. */
  refresh() {
    this.#list.refresh();
  }

  /** The row of this ID is the one that is open. */
  choose(id) {
    this.#chosen = id;
    const index = id === null ? -1 : this.items.findIndex((item) => this.#options.idOf(item) === id);
    if (index >= 0) this.#cursor = { index, id };
    this.refresh();
  }

  /** The item under the cursor. */
  get current() {
    return this.items[this.#cursor.index];
  }

  focus() {
    this.#grid.focus();
  }

  /** Moves the cursor by so many rows. */
  moveBy(rows) {
    this.moveTo(Math.max(0, this.#cursor.index) + rows);
  }

  moveTo(index) {
    if (this.items.length === 0) return;
    const at = Math.min(Math.max(0, index), this.items.length - 1);
    this.#cursor = { index: at, id: this.#options.idOf(this.items[at]) };
    attribute(this.#grid, "aria-activedescendant", `${this.#id}-${at}`);
    this.#list.reveal(at);
  }

  #key(event) {
    if (event.target !== this.#grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const { page } = this.#list;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in moves) {
      this.moveBy(moves[event.key]);
      if (this.current) this.#options.moved?.(this.current);
    } else if (event.key === "Enter" && this.current && this.#options.open) {
      this.#options.open(this.current, { byCursor: true });
    } else {
      return;
    }
    event.preventDefault();
  }
}
