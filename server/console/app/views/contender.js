// How a holder or a waiter is told, wherever one is.

import { attribute, h, text } from "../dom.js";

/** `shared`, `1 of 3`; nothing for those who want to be alone. */
export function modeOf({ mode, permits }) {
  if (mode === "SHARED") return "shared";
  return mode === "SEMAPHORE" ? `permit of ${permits}` : "";
}

/** The labels in one line. */
export const labelsOf = ({ labels }) => labels.map(([key, value]) => `${key}=${value}`).join(" ");

/** A name that may have any bytes in it. */
export class NameCell {
  element = h("bdi", { class: "name" });

  show({ name, plain = true, id }) {
    text(this.element, name === "" ? "(empty)" : name);
    attribute(this.element, "title", plain ? name : `base64 ${id}`);
    attribute(this.element, "data-odd", !plain);
  }
}

/** An owner with the mode and the labels. */
export class OwnerCell {
  #owner = h("bdi");
  #mode = h("span", { class: "tag" });
  #labels = h("span", { class: "labels" });
  element = h("span", { class: "owner" }, this.#owner, this.#mode, this.#labels);

  show(contender, more = 0) {
    text(this.#owner, more > 0 ? `${contender.owner} +${more}` : contender.owner);
    text(this.#mode, modeOf(contender));
    text(this.#labels, labelsOf(contender));
    attribute(this.element, "title", `${contender.owner} ${labelsOf(contender)}`.trim());
  }

  /** Instead of somebody. */
  showNobody(word) {
    text(this.#owner, word);
    text(this.#mode, "");
    text(this.#labels, "");
    attribute(this.element, "title", null);
  }
}
