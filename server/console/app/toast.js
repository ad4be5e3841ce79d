// A word about what was done, for a few seconds.

import { byId, h } from "./dom.js";

const MS = 6000;

/** Says `message`, if it is one. */
export function toast(message) {
  if (message === null) return;
  const element = h("div", { class: "toast" }, message);
  byId("toasts").append(element);
  setTimeout(() => element.remove(), MS);
}
