// A client of the distlock protocol: a session over a WebSocket, of which each request is answered
// in turn, and RETRY comes when a lock for which the session waits may be free.

import { socketUrl } from "./api.js";
import { protocols } from "./user.js";

export class Distlock {
  #socket;
  #asked = [];
  #told;

  /**
   * Connects. `told` has `open()`, `sent(request)`, `heard(answer, request)`, where a RETRY answers
   * no request, and `closed(reason)`.
   */
  constructor(told) {
    this.#told = told;
    const socket = new WebSocket(socketUrl("/distlock/lock"), protocols());
    let opened = false;
    socket.onopen = () => {
      opened = true;
      told.open();
    };
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ reason }) => told.closed(reason || (opened ? "the connection is closed" : "the server does not speak distlock here"));
    this.#socket = socket;
  }

  /** Whether it can be asked. */
  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  connect(session) {
    this.#ask({ action: "connect", param: session });
  }

  lock(name) {
    this.#ask({ action: "lock", param: name });
  }

  unlock(name) {
    this.#ask({ action: "unlock", param: name });
  }

  /** All of the names, or none. */
  lockAll(names) {
    this.#ask({ action: "mlock", params: names });
  }

  unlockAll(names) {
    this.#ask({ action: "munlock", params: names });
  }

  /** Ends the connection, and with it the session. */
  close() {
    this.#socket.close();
  }

  #ask(request) {
    const stamped = { ...request, time: Date.now() };
    this.#asked.push(stamped);
    this.#socket.send(JSON.stringify(stamped));
    this.#told.sent(stamped);
  }

  #hear(data) {
    const { status = "", message = "" } = JSON.parse(data);
    const request = status === "RETRY" ? null : (this.#asked.shift() ?? null);
    this.#told.heard({ status, message }, request);
  }
}
