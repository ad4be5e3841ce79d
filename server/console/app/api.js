// The server's JSON gateway: calls, and streams that come back by themselves.

import { headers, protocols } from "./user.js";

/** A refusal, with gRPC's code. */
export class Refused extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** gRPC's NOT_FOUND. */
export const NOT_FOUND = 5;

const PATIENCE_MS = 10_000;

/** Where a path is, also behind a proxy that puts the server below another one. */
const urlOf = (path) => new URL(path.replace(/^\//, ""), document.baseURI);

/** The URL of a WebSocket. */
export function socketUrl(path) {
  const url = urlOf(path);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** Calls an RPC and resolves to its answer. */
export async function call(path, request = {}) {
  const response = await fetch(urlOf(path), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers() },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Refused(answer.message ?? `the server answered ${response.status}`, answer.code);
  }
  return answer;
}

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 10_000;
/** How long the server may take to take a WebSocket and say the first word. */
const FIRST_WORD_MS = 15_000;

/**
 * Follows an RPC that answers with a stream, and connects again whenever it ends. Over a WebSocket,
 * because a browser has no more than six connections for all requests to a server, and each open
 * tab would keep one.
 */
export class Stream {
  #path;
  #request;
  #told;
  #socket = null;
  #timer = 0;
  #failures = 0;

  /**
   * @param told `message(result)` for each answer; `state(name, retryAt)` with `connecting`, `live`
   * or `lost`.
   */
  constructor(path, request, told) {
    this.#path = path;
    this.#request = request;
    this.#told = told;
  }

  /** Connects now, if it is not connected. */
  open() {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.#told.state("connecting");
    const socket = new WebSocket(socketUrl(this.#path), protocols());
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lost(socket), FIRST_WORD_MS);
    socket.onopen = () => socket.send(JSON.stringify(this.#request));
    socket.onmessage = (message) => this.#heard(socket, message.data);
    socket.onclose = () => this.#lost(socket);
  }

  /** Gives the connection up for lost, and tries again. */
  suspect() {
    if (this.#socket) this.#lost(this.#socket);
  }

  #heard(socket, data) {
    if (socket !== this.#socket) return;
    const { result } = JSON.parse(data);
    // An error is the last word.
    if (!result) return this.#lost(socket);
    clearTimeout(this.#timer);
    if (this.#failures !== -1) this.#told.state("live");
    this.#failures = -1;
    this.#told.message(result);
  }

  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    socket.onclose = null;
    socket.close();
    clearTimeout(this.#timer);
    this.#failures = Math.max(0, this.#failures + 1);
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    // So that all tabs of all people do not come back at once.
    const pause = longest * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.open(), pause);
    this.#told.state("lost", performance.now() + pause);
  }
}
