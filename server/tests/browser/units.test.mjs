// The parts of the console that need no page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { base64OfText, bytesOf, hexOf, isPlain, shown } from "../../console/app/bytes.js";
import { Locks, LINGER_MS } from "../../console/app/locks.js";
import { Rates } from "../../console/app/rates.js";
import { age, duration } from "../../console/app/time.js";
import { b64, Server } from "./server.mjs";

test("bytes are shown so that no two look the same", () => {
  const seen = new Map();
  const all = [...Array(256).keys()].map((byte) => Buffer.from([byte]));
  all.push(...["\\xff", "ä", "\u202e", "\\u{202e}", "😀", "\ufeff", "a\u200bb"].map((text) => Buffer.from(text)));
  all.push(Buffer.from([0xe2, 0x82]), Buffer.from([0xf0, 0x9f, 0x98]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0xc0, 0xaf]));
  for (const bytes of all) {
    const text = shown(b64(bytes));
    assert.equal(seen.get(text), undefined, `${text} is ${bytes.toString("hex")} and ${seen.get(text)}`);
    seen.set(text, bytes.toString("hex"));
    assert.match(text, /^[^\p{Cc}\p{Cf}]+$/u);
    assert.deepEqual(Buffer.from(bytesOf(b64(bytes))), bytes);
  }
  assert.equal(shown(b64("a/ä €😀")), "a/ä €😀");
  assert.ok(isPlain(b64("a/ä €😀")) && !isPlain(b64("a\\b")) && !isPlain(b64(Buffer.from([0xff]))));
  assert.equal(base64OfText("ä"), b64("ä"));
  assert.equal(hexOf("-1"), "ffffffffffffffff");
});

test("durations are short and exact", () => {
  for (const [ms, told] of [
    [null, "–"],
    [0, "0 ms"],
    [0.4, "<1 ms"],
    [999.9, "999 ms"],
    [1000, "1.0 s"],
    [9999, "9.9 s"],
    [59_999, "59 s"],
    [60_000, "1 m"],
    [250_000, "4 m 10 s"],
    [7_500_000, "2 h 5 m"],
    [273_600_000, "3 d 4 h"],
  ]) {
    assert.equal(duration(ms), told);
  }
  assert.deepEqual([age(null), age(0, 999), age(0, 1999), age(0, 60_000)], ["–", "<1 s", "1 s", "1 m"]);
});

test("rates are counted by the second, and known only where they are", () => {
  const rates = new Rates(5, 0);
  assert.deepEqual(rates.all(0), [null, null, null, null]);
  rates.knownFor(0, 1000);
  rates.addPast(0, 3100);
  rates.add(200);
  rates.add(900);
  rates.add(1000);
  assert.deepEqual(rates.all(1999), [1, null, 0, 2]);
  assert.deepEqual(rates.all(2000), [null, 0, 2, 1]);
  assert.deepEqual(rates.all(9000), [0, 0, 0, 0]);
});

const event = (kind, key, token, more = {}) => ({ kind, name: b64("n"), contender: { key, token: String(token), ...more } });

test("a lock lingers when it is free, and the waits stay with its name", () => {
  const locks = new Locks();
  locks.snapshot({ locks: [] }, 0);
  assert.equal(locks.change(event("ACQUIRED", "a", 9), 0).waited, 0);
  locks.change(event("QUEUED", "b", 10), 100);
  locks.change(event("RELEASED", "a", 9), 250);
  assert.equal(locks.change(event("ACQUIRED", "b", 10), 250).waited, 150);
  assert.deepEqual(locks.counts, { held: 1, waiting: 0 });
  locks.change(event("EXPIRED", "b", 10), 300);
  assert.equal(locks.sweep(299 + LINGER_MS), false);
  assert.equal(locks.sorted().length, 1);
  assert.equal(locks.sweep(300 + LINGER_MS), true);
  assert.equal(locks.sorted().length, 0);
  const again = locks.change(event("ACQUIRED", "c", 11), 9000).lock;
  assert.deepEqual(again.waits, [150]);
});

test("the line is in the order of the tokens, whichever comes first", () => {
  const locks = new Locks();
  for (const token of [100, 9, 1000, 99]) locks.change(event("QUEUED", `k${token}`, token), 0);
  locks.change(event("QUEUED", "k99", 99), 0);
  const [lock] = locks;
  assert.deepEqual(lock.waiting.map(({ token }) => token), ["9", "99", "100", "1000"]);
  assert.deepEqual(locks.counts, { held: 0, waiting: 4 });
  for (const token of [9, 1000, 7]) locks.change(event("LEFT", `k${token}`, token), 0);
  assert.deepEqual(locks.counts, { held: 0, waiting: 2 });
});

let server;
before(async () => (server = await Server.start("--unsafe-no-fsync")));
after(() => server?.remove());

/** Reads the stream of changes over plain HTTP, as far as `until(result)`. */
async function follow(take, until) {
  const cut = new AbortController();
  const response = await fetch(`${server.url}/v1/locks/watch`, { method: "POST", body: "{}", signal: cut.signal });
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const { result } = JSON.parse(line);
      take(result);
      if (until(result)) return cut.abort();
    }
  }
}

/** What is compared: who holds, who waits, in which order. */
const told = (locks) =>
  locks
    .map(({ id, name, holders = [], waiting = [] }) => [id ?? name, holders.map(({ key }) => key), waiting.map(({ key }) => key)])
    .filter(([, holders, waiting]) => holders.length + waiting.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));

test("what is made of the changes is what the server lists", async () => {
  const locks = new Locks();
  let ended = false;
  const take = (result) => {
    if (result.snapshot) locks.snapshot(result, 0);
    for (const each of result.events ?? []) {
      locks.change(each, 0);
      ended ||= each.name === b64("the end");
    }
  };
  const following = follow(take, () => ended);
  const modes = [{}, { mode: "SHARED" }, { mode: "SEMAPHORE", permits: 2 }];
  const names = [["r0", 0], ["r1", 1], ["r2", 0], ["r2", 1], ["r3", 2]];
  const random = (below) => Math.floor(Math.random() * below);
  const worker = async () => {
    for (let n = 0; n < 40; n += 1) {
      const session = await server.lease();
      const [name, mode] = names[random(names.length)];
      const wait = random(2) ? -1 : 20;
      const asked = { names: [b64(name)], session, wait_ms: wait, ...modes[mode] };
      const { holds } = await server.ask("/v1/locks/acquire", asked);
      if (holds && random(3)) await server.release(session, holds[0]);
      else await server.post("/v3/lease/revoke", { ID: session });
    }
  };
  await Promise.all([...Array(6)].map(worker));
  const stays = await server.lease();
  for (const name of ["s1", "s2"]) await server.acquire(name, stays, { mode: "SHARED" });
  await server.acquire("the end", stays);
  await following;
  const { locks: listed } = await server.post("/v1/locks/list");
  assert.deepEqual(told([...locks]), told(listed));
  assert.equal(locks.counts.held, 3);
  assert.equal(locks.counts.waiting, 0);
});
