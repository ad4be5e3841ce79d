// Drawings: rates over the last minutes, and the sparkline of a lock's waits.

import { attribute, svg, text } from "./dom.js";
import { count, duration } from "./time.js";

const TOP = 12;
const BOTTOM = 14;
const STEPS = [1, 2, 5];

/** The least of 1, 2, 5, 10, 20, … that is no less than `most`. */
function roundUp(most) {
  for (let power = 1; ; power *= 10) {
    const step = STEPS.find((each) => each * power >= most);
    if (step) return step * power;
  }
}

/** Two rates over time: how much was granted, and how much of it to who had waited. */
export class RateChart {
  #root;
  #area = svg("path", { class: "chart-area" });
  #line = svg("path", { class: "chart-line" });
  #cross = svg("line", { class: "chart-cross", visibility: "hidden" });
  #grid = svg("line", { class: "chart-grid" });
  #scale = svg("text", { class: "chart-text", x: 0, y: 9 });
  #start = svg("text", { class: "chart-text" });
  #read = svg("text", { class: "chart-text", "text-anchor": "end", y: 9 });
  #grants = [];
  #handOffs = [];
  #at = null;

  constructor(root) {
    this.#root = root;
    root.append(this.#grid, this.#area, this.#line, this.#cross, this.#scale, this.#start, this.#read);
    root.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    root.addEventListener("pointerleave", () => this.#point(null));
    new ResizeObserver(() => this.#draw()).observe(root);
  }

  show(grants, handOffs) {
    this.#grants = grants;
    this.#handOffs = handOffs;
    this.#draw();
    const most = Math.max(0, ...grants);
    const span = duration(grants.length * 1000);
    const [grant, handOff] = [grants.at(-1) ?? 0, handOffs.at(-1) ?? 0];
    const label = `Grants a second in the last ${span}: now ${grant}, at most ${most}; hand-offs to waiters: now ${handOff}`;
    attribute(this.#root, "aria-label", label);
  }

  #point(x) {
    this.#at = x;
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#root;
    if (!width || this.#grants.length < 2) return;
    attribute(this.#root, "viewBox", `0 0 ${width} ${height}`);
    const top = roundUp(Math.max(1, ...this.#grants));
    const base = height - BOTTOM;
    const xOf = (index) => (index / (this.#grants.length - 1)) * width;
    const yOf = (value) => base - (value / top) * (base - TOP);
    const known = Math.max(0, this.#grants.findIndex((value) => value !== null));
    const grants = path(this.#grants, xOf, yOf);
    attribute(this.#area, "d", grants && `${grants}V${base}H${xOf(known).toFixed(1)}Z`);
    attribute(this.#line, "d", path(this.#handOffs, xOf, yOf));
    place(this.#grid, { x1: 0, x2: width, y1: base + 0.5, y2: base + 0.5 });
    text(this.#scale, `${count(top)}/s`);
    place(this.#start, { x: 0, y: height - 2 });
    text(this.#start, `−${duration(this.#grants.length * 1000)}`);
    this.#readOut(width, base, xOf);
  }

  #readOut(width, base, xOf) {
    const last = this.#grants.length - 1;
    const index = this.#at === null ? last : Math.round((this.#at / width) * last);
    const at = Math.min(Math.max(index, 0), last);
    const [grants, handOffs] = [this.#grants[at], this.#handOffs[at]];
    const when = this.#at === null ? "" : `−${duration((last - at + 1) * 1000)}: `;
    place(this.#read, { x: width });
    const told = grants === null ? "not known" : `${count(grants)} grants/s, ${count(handOffs)} hand-offs/s`;
    text(this.#read, when + told);
    const x = xOf(index);
    place(this.#cross, { x1: x, x2: x, y1: TOP, y2: base });
    attribute(this.#cross, "visibility", this.#at === null ? "hidden" : "visible");
  }
}

function place(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) attribute(element, name, value);
}

/** A line through the values that are known. */
function path(values, xOf, yOf) {
  const point = (value, i) => (value === null ? null : `${xOf(i).toFixed(1)} ${yOf(value).toFixed(1)}`);
  const points = values.map(point).filter((each) => each !== null);
  return points.length > 0 ? `M${points.join("L")}` : "";
}

/** The waits of a lock, oldest first, as a line of bars. */
export class Sparkline {
  #bars = svg("path", { class: "spark-bars" });
  #slots;
  #height;
  #shown = null;
  element;

  constructor({ slots = 30, width = 90, height = 16 } = {}) {
    this.#slots = slots;
    this.#height = height;
    const viewBox = `0 0 ${slots * 3} ${height}`;
    this.element = svg("svg", { class: "spark", viewBox, width, height, role: "img" }, this.#bars);
    this.element.setAttribute("preserveAspectRatio", "none");
  }

  show(waits) {
    const d = this.#drawn(waits);
    if (d === this.#shown) return;
    this.#shown = d;
    attribute(this.#bars, "d", d);
    attribute(this.element, "aria-label", summary(waits));
  }

  #drawn(waits) {
    const last = waits.slice(-this.#slots);
    const most = Math.max(1, ...last);
    const bar = (wait, index) => {
      const high = Math.max(1, (wait / most) * this.#height);
      const x = (this.#slots - last.length + index) * 3;
      return `M${x} ${this.#height}v${(-high).toFixed(1)}h2v${high.toFixed(1)}Z`;
    };
    return last.map(bar).join("");
  }
}

/** What the sparkline says, in words. */
export function summary(waits) {
  if (waits.length === 0) return "nobody has waited yet";
  const sorted = waits.toSorted((a, b) => a - b);
  const median = duration(sorted[Math.floor(sorted.length / 2)]);
  return `last ${sorted.length} waits: median ${median}, longest ${duration(sorted.at(-1))}`;
}
