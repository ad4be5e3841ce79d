// A word about what was done, for a few seconds.

import { byId, h } from "./dom.js";

const MS = 6000;

export function toast(message) {
  const element = h("div", { class: "toast" }, message);
  byId("toasts").append(element);
  setTimeout(() => element.remove(), MS);
}
