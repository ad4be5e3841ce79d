// Taking a lock away: a question that shows what is taken from whom, by the fencing token, so that
// nobody who came later can lose it by mistake.

import { call, NOT_FOUND } from "../api.js";
import { shown } from "../bytes.js";
import { byId, h, text } from "../dom.js";
import { age, now } from "../time.js";
import { toast } from "../toast.js";
import { labelsOf, modeOf } from "./contender.js";

export class ForceDialog {
  #dialog = byId("force");
  #feed;
  #asked = null;
  #confirm = null;
  #state = h("p", { role: "status" });
  #age = h("dd");

  constructor(feed) {
    this.#feed = feed;
    this.#dialog.addEventListener("close", () => (this.#asked = null));
  }

  /** Asks whether `contender` is to lose the lock of that name. */
  open(id, contender) {
    this.#asked = { id, contender };
    const close = () => this.#dialog.close();
    this.#confirm = h("button", { class: "danger", on: { click: () => this.#force() } });
    this.#dialog.replaceChildren(
      h("h2", { id: "force-title" }, "Take ", h("bdi", { class: "name" }, shown(id) || "(empty)"), " away?"),
      this.#about(contender),
      h("p", {}, "Whoever has it is not stopped. A session of latchd.v1 is told; a client of etcd is not, and works on in the belief that it holds the lock. What it guards is safe only if it checks the fencing token."),
      this.#state,
      h("div", { class: "choices" }, h("button", { autofocus: true, on: { click: close } }, "Leave it"), this.#confirm),
    );
    this.changed();
    this.#dialog.showModal();
  }

  #about(contender) {
    const row = (title, ...value) => h("div", { class: "unwrapped" }, h("dt", {}, title), h("dd", {}, ...value));
    return h(
      "dl",
      { class: "about" },
      row("Fencing token", h("span", { class: "token", id: "force-token" }, contender.token)),
      row("Owner", h("bdi", {}, contender.owner)),
      labelsOf(contender) ? row("Labels", labelsOf(contender)) : null,
      row("Mode", modeOf(contender) || "exclusive"),
      row("Lease", h("span", { class: "mono" }, contender.lease), ` by ${contender.door}`),
      h("div", { class: "unwrapped" }, h("dt", {}, "For"), this.#age),
    );
  }

  /** Looks whether it is still so. */
  changed() {
    if (!this.#asked) return;
    const { id, contender } = this.#asked;
    const lock = this.#feed.locks.get(id);
    const holds = lock?.holders.find(({ key }) => key === contender.key);
    const waits = lock?.waiting.find(({ key }) => key === contender.key);
    const there = holds ?? waits;
    text(this.#age, there ? age(there.since, now()) : "–");
    text(this.#state, there ? "" : `Token ${contender.token} is not in this lock any more: there is nothing to take.`);
    text(this.#confirm, `${waits ? "Remove the waiter of" : "Force-release"} token ${contender.token}`);
    this.#confirm.disabled = !there;
  }

  async #force() {
    const { id, contender } = this.#asked;
    const name = shown(id);
    this.#confirm.disabled = true;
    try {
      await call("/v1/locks/force-release", { name: id, token: contender.token });
      toast(`${name}: token ${contender.token} of ${contender.owner} is released.`);
      this.#dialog.close();
    } catch (error) {
      const late = error.code === NOT_FOUND;
      text(this.#state, late ? `Token ${contender.token} is not in this lock any more. Nothing was freed.` : `Not released: ${error.message}`);
      this.#confirm.disabled = late;
    }
  }
}
