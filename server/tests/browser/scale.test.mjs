// Ten thousand locks, and a queue of a thousand.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, Tab } from "./browser.mjs";
import { b64, Server } from "./server.mjs";

const LOCKS = 10_000;
const WAITERS = 1000;
const AT_ONCE = 100;
/** What browsers call a long task, in ms: one that people can feel. */
const LONG_MS = 50;

let server;
let browser;

/** A lock's key as etcd's clients write it. */
const keyOf = (name, lease) => ({ key: b64(`${name}/${BigInt(lease).toString(16)}`), lease });
const nameOf = (n) => `many/${String(n).padStart(5, "0")}`;

async function put(keys) {
  for (let at = 0; at < keys.length; at += AT_ONCE) {
    const success = keys.slice(at, at + AT_ONCE).map((request_put) => ({ request_put }));
    await server.post("/v3/kv/txn", { success });
  }
}

before(async () => {
  server = await Server.start("--unsafe-no-fsync");
  browser = await launch();
  const lease = await server.lease(3600);
  await put(Array.from({ length: LOCKS }, (_, n) => keyOf(nameOf(n), lease)));
  const crowd = [];
  for (let n = 0; n < WAITERS; n += 1) crowd.push(keyOf("crowd", await server.lease(3600)));
  for (const key of crowd) await put([key]);
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

/** Scrolls through a list: to its end in leaps, and some way back by half pages, one each frame. */
async function scrollThrough(selector) {
  const scroller = document.querySelector(selector);
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const end = scroller.scrollHeight - scroller.clientHeight;
  for (let step = 0; step <= 60; step += 1) {
    scroller.scrollTop = (end * step) / 60;
    await frame();
  }
  for (let step = 0; step < 60; step += 1) {
    scroller.scrollTop -= scroller.clientHeight / 2;
    await frame();
  }
  await frame();
}

async function scrollsWell(tab, selector) {
  const tasks = await tab.tasks(() => tab.page.evaluate(scrollThrough, selector));
  assert.ok(tasks.length > 120, `${tasks.length} tasks were seen`);
  assert.deepEqual(tasks.filter((ms) => ms > LONG_MS), []);
}

test("ten thousand locks scroll without long tasks, while others change", async () => {
  const tab = await Tab.open(browser, server);
  await tab.says("#locks-count", "10,001 names");
  const rows = await tab.page.locator("#locks-grid .row").count();
  assert.ok(rows < 80, `${rows} rows exist`);
  let churns = true;
  const churn = (async () => {
    const session = await server.lease();
    while (churns) await server.release(session, await server.acquire("many/churn", session));
  })();
  try {
    await scrollsWell(tab, "#locks-scroller");
  } finally {
    churns = false;
    await churn;
  }
  await tab.page.locator("#locks-grid").press("End");
  await tab.row(nameOf(LOCKS - 1)).waitFor();
  await tab.picture("ten-thousand");
  await tab.page.fill("#search", "09876");
  await tab.says("#locks-count", "1 of ");
  await tab.row("many/09876").click();
  await tab.says("#detail-name", "many/09876");
  await tab.close();
});

test("a lock's own address brings its row into sight", async () => {
  const tab = await Tab.open(browser, server, { place: `#/lock/${b64(nameOf(7000)).replaceAll("/", "_")}` });
  await tab.says("#detail-name", nameOf(7000));
  await tab.row(nameOf(7000)).waitFor();
  await tab.close();
});

test("a queue of a thousand scrolls, too", async () => {
  const tab = await Tab.open(browser, server, { place: `#/lock/${b64("crowd")}` });
  await tab.says(".detail h3", `1 hold, ${WAITERS - 1} wait`);
  await scrollsWell(tab, ".line-scroller");
  const rows = await tab.page.locator(".line .row").count();
  assert.ok(rows < 60, `${rows} rows exist`);
  await tab.close();
});

test("a change among ten thousand is in sight soon", async () => {
  const tab = await Tab.open(browser, server);
  await tab.says("#locks-count", "10,001 names");
  const session = await server.lease();
  await tab.page.evaluate(() => {
    globalThis.seen = new Promise((resolve) => {
      const look = () => (document.querySelector("#locks-count").textContent.startsWith("10,002") ? resolve() : requestAnimationFrame(look));
      look();
    });
  });
  const held = await server.acquire("a-new-one", session);
  await tab.page.evaluate(() => globalThis.seen);
  await tab.page.locator("#locks-scroller").evaluate((scroller) => (scroller.scrollTop = 0));
  await tab.row("a-new-one").waitFor();
  await server.release(session, held);
  await tab.close();
});

test("a long task would be noticed", async () => {
  const tab = await Tab.open(browser, server);
  const spin = (ms) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  };
  const tasks = await tab.tasks(() => tab.page.evaluate(spin, 1000));
  assert.ok(Math.max(...tasks) > LONG_MS, String(tasks));
  await tab.close();
});
