// The keyboard: single keys for what one does often, and the page that tells them.

import { byId, h, isTyping } from "./dom.js";
import { shortcutsOn, shortcutsSetBy } from "./settings.js";

/** How long after `g` the second key may come, in ms. */
const SECOND_KEY_MS = 1500;

const HELP = [
  ["/", "search"],
  ["j k ↓ ↑", "next and previous row"],
  ["Enter", "open the lock"],
  ["Esc", "close it, or clear the search"],
  ["f", "force-release the first holder of the lock"],
  ["p", "pause the events, or go on"],
  ["g l", "locks"],
  ["g s", "sessions and leases"],
  ["g e", "events"],
  ["g t", "try it"],
  ["t", "theme: as the system, light, dark"],
  ["?", "this page"],
];

/** Listens for keys; `actions` has a function for each, and `go` has one for each key after `g`. */
export function listen(actions) {
  let afterG = -Infinity;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return void actions.Escape(event);
    if (isTyping(event.target) || !shortcutsOn()) return;
    const second = performance.now() - afterG < SECOND_KEY_MS;
    afterG = event.key === "g" ? performance.now() : -Infinity;
    const action = second ? actions.go[event.key] : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** The page of keys, as a dialog. Returns what opens it. */
export function help() {
  const dialog = byId("help");
  const box = h("input", { type: "checkbox", id: "shortcuts" });
  shortcutsSetBy(box);
  const keys = HELP.flatMap(([keys, what]) => [
    h("dt", {}, ...keys.split(" ").flatMap((key) => [h("kbd", {}, key), " "])),
    h("dd", {}, what),
  ]);
  dialog.append(
    h("h2", { id: "help-title" }, "Keyboard"),
    h("dl", { class: "keys" }, ...keys),
    h("label", {}, box, " single keys are shortcuts"),
    h("p", { class: "hint" }, "Search looks for all of the words, in names, owners, doors and labels. A whole lease finds its locks, and so does a token with # before it."),
    h("div", { class: "choices" }, h("button", { autofocus: true, on: { click: () => dialog.close() } }, "Close")),
  );
  return () => dialog.showModal();
}
