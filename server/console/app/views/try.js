// A lock to try: this tab as a client of the distlock protocol. With a second tab there are two who
// want the same.

import { attribute, byId, h, text } from "../dom.js";
import { Distlock } from "../distlock.js";
import { timeOfDay } from "../time.js";

/** How many lines the log keeps. */
const LINES = 500;

const GRANTED = new Set(["OK", "LOCKED"]);

export class TryView {
  #client = null;
  /** What became of each name: `{ state: "held" or "waiting", all }`, with the names asked for at once. */
  #names = new Map();
  #session = field("Session", "try-session", `tab-${crypto.getRandomValues(new Uint16Array(1))[0].toString(16)}`);
  #wanted = field("Names, with spaces between", "try-names", "demo");
  #again = h("input", { type: "checkbox", id: "try-again", checked: true });
  #connect = button("Connect", () => this.#toggle(), "main");
  #actions = [
    button("Lock", () => this.#each((client, name) => client.lock(name))),
    button("Unlock", () => this.#each((client, name) => client.unlock(name))),
    button("Lock all or none", () => this.#client?.lockAll(this.#wantedNames())),
    button("Unlock all", () => this.#client?.unlockAll(this.#wantedNames())),
  ];
  #list = h("ul", { id: "try-state", "aria-label": "This tab's locks", "aria-live": "polite" });
  #lines = h("ol", { class: "log-lines", id: "try-log", tabindex: 0, "aria-label": "Log" });

  constructor() {
    byId("view-try").append(
      h("div", { class: "try" }, h("div", { class: "try-form" }, ...this.#form()), h("div", { class: "log" }, this.#lines)),
    );
    onEnter(this.#session.input, () => this.#client ?? this.#toggle());
    onEnter(this.#wanted.input, () => this.#each((client, name) => client.lock(name)));
    this.#connected(false);
  }

  #form() {
    const open = h("a", { href: location.pathname + "#/try", target: "_blank", rel: "noopener" }, "second tab");
    return [
      h("h1", { id: "title-try", class: "title" }, "Try a lock"),
      h("p", {}, "This tab becomes a client that speaks the distlock protocol, at ", h("code", {}, "/distlock/lock"), ". Open a ", open, ", lock the same name in both, and see one wait until the other unlocks, or is closed. etcdctl and every other client want the same lock, too."),
      this.#session.label,
      h("div", { class: "actions" }, this.#connect),
      this.#wanted.label,
      h("div", { class: "actions" }, ...this.#actions),
      h("label", {}, this.#again, " ask again when a lock that it waits for becomes free"),
      this.#list,
    ];
  }

  #wantedNames() {
    return this.#wanted.input.value.split(/\s+/).filter(Boolean);
  }

  #each(ask) {
    if (this.#client?.isOpen) for (const name of this.#wantedNames()) ask(this.#client, name);
  }

  #toggle() {
    if (this.#client) {
      this.#client.close();
      return;
    }
    this.#client = new Distlock({
      open: () => this.#opened(),
      sent: (request) => this.#log("→", `${request.action} ${request.param ?? request.params.join(" ")}`),
      heard: (answer, request) => this.#heard(answer, request),
      closed: (reason) => this.#closed(reason),
    });
    text(this.#connect, "Disconnect");
  }

  #opened() {
    this.#connected(true);
    this.#client.connect(this.#session.input.value.trim());
  }

  #closed(reason) {
    this.#client = null;
    this.#names.clear();
    this.#connected(false);
    this.#log("×", reason);
  }

  #connected(is) {
    text(this.#connect, is ? "Disconnect" : "Connect");
    this.#session.input.disabled = is;
    for (const action of this.#actions) action.disabled = !is;
    this.#show();
  }

  #heard(answer, request) {
    this.#log("←", `${answer.status} ${answer.message}`);
    if (answer.status === "RETRY") this.#mayBeFree(answer.message);
    else if (request) this.#settle(answer, request);
    this.#show();
  }

  #mayBeFree(name) {
    const asked = this.#names.get(name);
    if (asked?.state !== "waiting" || !this.#again.checked) return;
    if (asked.all.length > 1) this.#client?.lockAll(asked.all);
    else this.#client?.lock(name);
  }

  #settle({ status }, { action, param, params = [param] }) {
    if (action === "lock" || action === "mlock") {
      if (status === "FAIL") return;
      const state = GRANTED.has(status) ? "held" : "waiting";
      for (const name of params) this.#names.set(name, { state, all: params });
    } else if (action === "unlock" || action === "munlock") {
      if (GRANTED.has(status)) for (const name of params) this.#names.delete(name);
    }
  }

  #show() {
    const line = ([name, { state }]) =>
      h("li", { data: { state } }, h("bdi", { class: "name" }, name), h("span", { class: state === "held" ? "good" : "wait" }, state));
    this.#list.replaceChildren(...[...this.#names].map(line));
  }

  #log(direction, said) {
    const end = this.#lines.scrollHeight - this.#lines.scrollTop - this.#lines.clientHeight < 40;
    const line = h("li", {}, h("span", { class: "quiet" }, timeOfDay(Date.now())), h("span", { class: "quiet" }, direction), h("bdi", {}, said));
    this.#lines.append(line);
    if (this.#lines.childElementCount > LINES) this.#lines.firstElementChild.remove();
    if (end) this.#lines.scrollTop = this.#lines.scrollHeight;
  }
}

function button(title, click, kind = null) {
  return h("button", { type: "button", class: kind, on: { click } }, title);
}

function field(title, id, value) {
  const input = h("input", { type: "text", id, autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  input.value = value;
  attribute(input, "maxlength", 1000);
  return { input, label: h("label", { class: "field" }, h("span", {}, title), input) };
}

function onEnter(input, work) {
  input.addEventListener("keydown", (event) => event.key === "Enter" && work());
}
