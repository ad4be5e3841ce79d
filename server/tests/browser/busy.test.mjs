// A server at work, and whether the page still tells the truth after it. The picture in the README
// is from here.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, Tab } from "./browser.mjs";
import { b64, PATIENCE, Server } from "./server.mjs";

/** The first ones are wanted most. */
const NAMES = ["deploy/api", "cache/warm", "deploy/web", "billing/invoice-run", "cron/nightly-report", "search/reindex", "db/migrate"];
const QUIET = ["etl/orders", "geo/import", "images/resize", "ledger/close", "mail/digest", "users/export"];
const OWNERS = ["api-1", "api-2", "ci-17", "worker-1", "worker-2", "worker-3", "worker-4", "ann", "bob", "cron"];
/** How often each worker takes a lock. */
const TURNS = 24;

let server;
let browser;

before(async () => {
  server = await Server.start("--unsafe-no-fsync");
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

const random = (below) => Math.floor(Math.random() * below);
const wanted = () => NAMES[Math.floor(NAMES.length * Math.random() ** 1.8)];
const labelsOf = (n) => [{ key: "host", value: `node-${n % 4}` }, { key: "run", value: String(4100 + n) }];

/** Takes one lock after the other and holds each for a moment. Returns what takes one more, for good. */
async function work(owner, n) {
  const session = await server.lease(3600);
  const take = (mode) => server.acquire(wanted(), session, { owner, mode, labels: labelsOf(n) });
  for (let turn = 0; turn < TURNS; turn += 1) {
    const hold = await take(random(6) ? "EXCLUSIVE" : "SHARED");
    await server.post("/v1/locks/verify", { name: hold.name, token: hold.token });
    await new Promise((resolve) => setTimeout(resolve, 60 + random(500)));
    await server.release(session, hold);
  }
  return () => take("EXCLUSIVE");
}

/** Whether the list in the page is this one: names, first holders, how many wait. */
function pageSays(listed) {
  const rows = [...document.querySelectorAll("#locks-grid .row:not([hidden]):not([data-free])")];
  const cells = rows.map((row) => {
    const told = [row.querySelector(".name"), row.querySelector(".owner bdi"), row.children[3]];
    return told.map((element) => element.textContent);
  });
  return JSON.stringify(cells.sort()) === listed;
}

async function asListed() {
  const { locks } = await server.post("/v1/locks/list");
  const text = (name) => Buffer.from(name, "base64").toString();
  const cells = locks.map(({ name, holders, waiting = [] }) => {
    const more = holders.length > 1 ? ` +${holders.length - 1}` : "";
    return [text(name), holders[0].owner + more, String(waiting.length)];
  });
  return JSON.stringify(cells.sort());
}

/** What is listed when everyone has or awaits their last lock. */
async function settled() {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const { locks } = await server.post("/v1/locks/list");
    const all = locks.filter(({ name }) => NAMES.some((each) => b64(each) === name));
    const sum = (key) => all.reduce((count, lock) => count + (lock[key] ?? []).length, 0);
    if (sum("holders") + sum("waiting") === OWNERS.length) return { waiting: sum("waiting") };
    assert.ok(Date.now() < deadline, JSON.stringify(locks));
  }
}

test("a busy server: the page follows, and ends with what is", async () => {
  const session = await server.lease(3600);
  for (const [n, name] of QUIET.entries()) await server.acquire(name, session, { owner: OWNERS[n], labels: labelsOf(n) });
  await server.post("/v3/lock/lock", { name: b64("backup/etcdctl"), lease: await server.lease(3600) });
  const tab = await Tab.open(browser, server, { viewport: { width: 1200, height: 640 }, place: `#/lock/${b64("deploy/api").replaceAll("/", "_")}` });
  const last = await Promise.all(OWNERS.map((owner, n) => work(owner, n)));
  // Who waits now waits until the server is gone.
  for (const take of last) take().catch(() => null);
  const { waiting } = await settled();
  await tab.until((all) => document.querySelector("#figure-waiting").textContent === all, String(waiting));
  await tab.until(pageSays, await asListed());
  assert.ok(waiting > 0, "somebody waits");
  await tab.says("#figure-longest", / s$/);
  await tab.picture("busy");
  const drawn = await tab.page.locator(".chart-line").getAttribute("d");
  assert.ok(drawn.split("L").length > 5, drawn);
  await tab.close();
});
