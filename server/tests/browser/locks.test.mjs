// The list, one lock, and taking it away.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, Tab } from "./browser.mjs";
import { b64, Server } from "./server.mjs";

let server;
let browser;

before(async () => {
  server = await Server.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

test("the list changes as locks do", async () => {
  const tab = await Tab.open(browser, server);
  await tab.says("#locks-empty", "Nobody holds or awaits a lock");
  const [ann, bob] = [await server.lease(), await server.lease()];
  const labels = [{ key: "host", value: "h1" }];
  const held = await server.acquire("live", ann, { owner: "ann", labels });
  await tab.row("live").filter({ hasText: "ann" }).filter({ hasText: "host=h1" }).waitFor();
  const next = server.acquire("live", bob, { owner: "bob" });
  await tab.row("live").locator(".wait", { hasText: /^1$/ }).waitFor();
  await tab.says("#figure-waiting", "1");
  await server.release(ann, held);
  await tab.row("live").filter({ hasText: "bob" }).waitFor();
  await tab.row("live").locator(".quiet", { hasText: /^0$/ }).waitFor();
  const drawn = await tab.row("live").locator(".spark-bars").getAttribute("d");
  assert.match(drawn, /^M/, "bob's wait is in the sparkline");
  // It is there for a few seconds only.
  const freed = tab.row("live").filter({ hasText: "free" }).waitFor();
  await server.release(bob, await next);
  await freed;
  await tab.row("live").waitFor({ state: "hidden" });
  await tab.close();
});

test("the page begins with what there is", async () => {
  const session = await server.lease();
  const held = await server.acquire("there/before", session, { owner: "early" });
  const tab = await Tab.open(browser, server);
  await tab.row("there/before").filter({ hasText: "early" }).waitFor();
  await tab.says("#locks-count", "1 name");
  await server.release(session, held);
  await tab.close();
});

test("one lock: its queue in order, its waits, who had it", async () => {
  const leases = [];
  for (let n = 0; n < 3; n += 1) leases.push(await server.lease());
  const held = await server.acquire("one", leases[0], { owner: "first" });
  const second = server.acquire("one", leases[1], { owner: "second" });
  await server.untilWaiting("one", 1);
  const third = server.acquire("one", leases[2], { owner: "third", mode: "SHARED" });
  await server.untilWaiting("one", 2);
  const tab = await Tab.open(browser, server);
  await tab.row("one").click();
  await tab.says("#detail-name", "one");
  const line = tab.page.locator(".line .row:visible");
  await line.nth(2).waitFor();
  const owners = await line.locator(".owner bdi").allTextContents();
  assert.deepEqual(owners, ["first", "second", "third"]);
  const places = await line.locator(".place").allTextContents();
  assert.deepEqual(places, ["●", "1", "2"]);
  assert.match(await line.nth(0).textContent(), new RegExp(`token ${held.token} `));
  await tab.says(".line .row", "shared");
  await server.release(leases[0], held);
  const granted = await second;
  await tab.says(".facts", `fencing token ${granted.token}`);
  await tab.says(".past li", "first");
  await tab.picture("lock");
  await server.release(leases[1], granted);
  await server.release(leases[2], await third);
  await tab.says(".detail .hint", "Nobody holds or awaits this name now");
  await tab.says(".past li:first-child", "third");
  await tab.page.keyboard.press("Escape");
  await tab.page.locator("#detail").waitFor({ state: "hidden" });
  await tab.close();
});

test("a force-release shows the token, uses it, and frees", async () => {
  const [ann, bob] = [await server.lease(), await server.lease()];
  const held = await server.post("/v3/lock/lock", { name: b64("forced"), lease: ann });
  const next = server.acquire("forced", bob, { owner: "bob" });
  await server.untilWaiting("forced", 1);
  const tab = await Tab.open(browser, server);
  await tab.row("forced").click();
  await tab.page.locator(".line button").first().click();
  const token = await tab.page.locator("#force-token").textContent();
  assert.equal(token, held.header.revision);
  await tab.picture("force");
  const sent = tab.page.waitForRequest("**/v1/locks/force-release");
  // It is told for a few seconds only.
  const told = tab.says(".toast", `token ${token}`);
  await tab.page.getByRole("button", { name: `Force-release token ${token}` }).click();
  assert.deepEqual((await sent).postDataJSON(), { name: b64("forced"), token });
  const granted = await next;
  await tab.row("forced").filter({ hasText: "bob" }).waitFor();
  await told;
  await tab.says(".past li", "forced");
  await server.release(bob, granted);
  await tab.close();
});

test("a dialog that came too late frees nobody", async () => {
  const [ann, bob] = [await server.lease(), await server.lease()];
  const held = await server.acquire("late", ann, { owner: "ann" });
  const tab = await Tab.open(browser, server);
  await tab.row("late").click();
  await tab.page.locator(".line button").first().click();
  const confirm = tab.page.locator("#force button.danger");
  await confirm.waitFor();
  // The page may not have heard of it, but the server knows.
  let heard;
  await tab.page.route("**/v1/locks/force-release", async (route) => {
    await server.release(ann, held);
    heard = await server.acquire("late", bob, { owner: "bob" });
    await route.continue();
  });
  const answered = tab.page.waitForResponse("**/v1/locks/force-release");
  await confirm.click();
  await answered;
  await tab.says("#force", `Token ${held.token} is not in this lock any more`);
  const verified = await server.post("/v1/locks/verify", { name: b64("late"), token: heard.token });
  assert.equal(verified.held, true, "bob holds on");
  await tab.page.locator("#force button.danger:disabled").waitFor();
  await tab.page.getByRole("button", { name: "Leave it" }).click();
  await server.release(bob, heard);
  await tab.close();
});

test("names are shown whatever bytes they have, and are never HTML", async () => {
  const session = await server.lease();
  const names = [
    ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
    [Buffer.from([0x61, 0xff, 0x00, 0xc3, 0x28]), "a\\xff\\x00\\xc3("],
    ["right\u202eleft", "right\\u{202e}left"],
    ["a\\b/ä €😀", "a\\\\b/ä €😀"],
  ];
  const holds = [];
  for (const [name] of names) holds.push(await server.acquire(name, session, { owner: "<b>x</b>" }));
  const tab = await Tab.open(browser, server);
  for (const [, shown] of names) await tab.row(shown).filter({ hasText: "<b>x</b>" }).waitFor();
  assert.equal(await tab.page.locator("main img, main b").count(), 0);
  await tab.row(names[1][1]).click();
  await tab.says(".facts", b64(names[1][0]));
  for (const hold of holds) await server.release(session, hold);
  await tab.close();
});

test("a waiter can be removed, too", async () => {
  const [ann, bob] = [await server.lease(), await server.lease()];
  const held = await server.acquire("removed", ann, { owner: "ann" });
  const waits = server.ask("/v1/locks/acquire", { names: [b64("removed")], session: bob, wait_ms: -1, owner: "bob" });
  await server.untilWaiting("removed", 1);
  const tab = await Tab.open(browser, server);
  await tab.row("removed").click();
  await tab.page.locator(".line .row", { hasText: "bob" }).getByRole("button").click();
  await tab.page.getByRole("button", { name: "Remove the waiter of token" }).click();
  assert.notEqual((await waits).code, undefined, "the wait was refused");
  await tab.says(".detail h3", "1 hold, 0 wait");
  await server.release(ann, held);
  await tab.close();
});
