// A latchd of its own for each test file, and what tests ask of it over the gateway.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BINARY = process.env.LATCHD_BIN;
const READY = "ready to serve client requests";

/** How long anything awaited may take before the test fails, in ms. */
export const PATIENCE = 60_000;

export const b64 = (text) => Buffer.from(text).toString("base64");

let tried = 0;

/**
 * A port below the range from which Linux picks those of outgoing connections: while the server is
 * away, no connection may take it, least of all that of a page that keeps trying to reach it.
 */
async function freePort() {
  for (;;) {
    const port = 20_000 + ((process.pid * 97 + tried) % 12_000);
    tried += 1;
    if (await canListen(port)) return port;
    if (tried > 12_000) throw new Error("no free port");
  }
}

function canListen(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** The server, and its data directory. */
export class Server {
  #dir = mkdtempSync(join(tmpdir(), "latchd-console-"));
  #process = null;
  #log = "";
  /** `http://HOST:PORT`, the same after a restart. */
  url = null;

  static async start(...flags) {
    const server = new Server();
    await server.start(...flags);
    return server;
  }

  async start(...flags) {
    if (!BINARY) throw new Error("LATCHD_BIN names the latchd to test");
    this.url ??= `http://127.0.0.1:${await freePort()}`;
    const place = [`--data-dir=${join(this.#dir, "data")}`, `--listen-client-urls=${this.url}`];
    this.#log = "";
    this.#process = spawn(BINARY, [...place, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`not ready:\n${this.#log}`)), PATIENCE);
      this.#process.on("exit", () => reject(new Error(`it ended:\n${this.#log}`)));
      this.#process.stderr.setEncoding("utf8").on("data", (text) => {
        this.#log += text;
        if (!this.#log.includes(READY)) return;
        clearTimeout(late);
        resolve();
      });
    });
  }

  /** Kills it, as a crash would. */
  async kill() {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }

  async remove() {
    await this.kill();
    rmSync(this.#dir, { recursive: true });
  }

  /** Calls an RPC; a refusal is an error. */
  async post(path, body = {}) {
    const answer = await this.ask(path, body);
    if (answer.code) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Calls an RPC, whatever it answers. */
  async ask(path, body = {}) {
    const response = await fetch(this.url + path, { method: "POST", body: JSON.stringify(body) });
    return response.json();
  }

  async lease(ttl = 600) {
    return (await this.post("/v3/lease/grant", { TTL: ttl })).ID;
  }

  /** Acquires and returns the hold. `request` as AcquireRequest has it. */
  async acquire(name, session, request = {}) {
    const asked = { names: [b64(name)], session, wait_ms: -1, ...request };
    return (await this.post("/v1/locks/acquire", asked)).holds[0];
  }

  release(session, hold) {
    return this.post("/v1/locks/release", { session, holds: [hold] });
  }

  /** Resolves when `count` contenders wait for a name. */
  async untilWaiting(name, count) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const { locks = [] } = await this.post("/v1/locks/list", { prefix: b64(name) });
      const lock = locks.find((each) => each.name === b64(name));
      if ((lock?.waiting ?? []).length === count) return;
      if (Date.now() > deadline) throw new Error(`${name}: ${JSON.stringify(lock)}`);
    }
  }
}
