// The stream that is lost and comes back, events, sessions and leases, deadlocks.

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

test("a lost server is seen, and found again", async () => {
  const session = await server.lease();
  const gone = await server.acquire("survives", session, { owner: "ann" });
  const tab = await Tab.open(browser, server);
  await tab.row("survives").waitFor();
  await server.kill();
  await tab.says("#connection", "no connection");
  await tab.says("#stale", "This is how it was at");
  assert.deepEqual(await tab.violations(), []);
  await tab.row("survives").waitFor();
  await tab.picture("lost");
  await server.start();
  const other = await server.acquire("meanwhile", session, { owner: "bob" });
  await server.release(session, gone);
  await tab.page.locator("#connection[data-state=live]").waitFor();
  await tab.row("meanwhile").waitFor();
  await tab.row("survives").waitFor({ state: "hidden" });
  await tab.page.locator("#stale").waitFor({ state: "hidden" });
  await server.release(session, other);
  // The page may say what it likes about a server that is away; nothing else is wrong.
  await tab.close();
});

test("events as they happen, and a pause", async () => {
  const tab = await Tab.open(browser, server, { place: "#/events" });
  await tab.says("#events-empty", "Nothing has happened");
  const [ann, bob] = [await server.lease(), await server.lease()];
  const held = await server.acquire("eventful", ann, { owner: "ann" });
  const next = server.acquire("eventful", bob, { owner: "bob" });
  await server.untilWaiting("eventful", 1);
  await server.release(ann, held);
  await next;
  await tab.says("#events-count", "4 events");
  const row = (n) => tab.page.locator(`#events-grid .row[aria-rowindex='${n}'] > :nth-child(2)`);
  // Rows are drawn a frame later.
  for (const [n, kind] of ["acquired", "released", "queued", "acquired"].entries()) {
    await row(n + 1).filter({ hasText: kind }).waitFor();
  }
  await tab.picture("events");
  await tab.page.uncheck("text=queued");
  await tab.says("#events-count", "3 events");
  await tab.page.keyboard.press("p");
  await server.post("/v3/lease/revoke", { ID: bob });
  await tab.says("#events-count", "Paused; 1 events since");
  await tab.until(() => document.querySelectorAll("#events-grid .row:not([hidden])").length === 3);
  await tab.page.getByRole("button", { name: "Go on" }).click();
  await tab.says("#events-grid .row", "expired");
  await tab.page.locator("#events-grid .row:visible").first().click();
  await tab.says("#detail-name", "eventful");
  await tab.close();
});

test("grants and hand-offs are drawn", async () => {
  const tab = await Tab.open(browser, server);
  const [ann, bob] = [await server.lease(), await server.lease()];
  const held = await server.acquire("drawn", ann);
  const next = server.acquire("drawn", bob);
  await server.untilWaiting("drawn", 1);
  await server.release(ann, held);
  await server.release(bob, await next);
  await tab.until(() => /at most [1-9]/.test(document.querySelector("#chart").getAttribute("aria-label")));
  const heights = await tab.page.locator(".chart-line").getAttribute("d");
  assert.ok(new Set(heights.match(/(?<= )[\d.]+/g)).size > 1, heights);
  const again = await Tab.open(browser, server);
  await again.until(() => /at most [1-9]/.test(document.querySelector("#chart").getAttribute("aria-label")));
  await again.close();
  await tab.close();
});

test("sessions and leases with the time they have left", async () => {
  const lease = await server.lease(120);
  const opened = await fetch(`${server.url}/v1/locks/session`, {
    method: "POST",
    body: JSON.stringify({ open: { ttl_ms: 90_000 } }),
  });
  const line = new TextDecoder().decode((await opened.body.getReader().read()).value);
  const { session, epoch } = JSON.parse(line).result.opened;
  await server.acquire("by/session", session, { epoch, owner: "s" });
  await server.acquire("by/lease", lease);
  const tab = await Tab.open(browser, server, { place: "#/sessions" });
  const row = (id) => tab.page.locator("#sessions-grid .row:visible", { hasText: BigInt(id).toString(16) });
  await row(session).filter({ hasText: "session" }).filter({ hasText: "by/session" }).waitFor();
  await row(lease).filter({ hasText: "2 m" }).filter({ hasText: "by/lease" }).waitFor();
  await tab.picture("sessions");
  const left = (id) => row(id).locator("progress").evaluate((bar) => bar.value);
  const before = await left(lease);
  assert.ok(before > 0 && before <= 1, String(before));
  await tab.until(
    ([hex, value]) => [...document.querySelectorAll("#sessions-grid .row")].some((each) => each.textContent.includes(hex) && each.querySelector("progress").value < value),
    [BigInt(lease).toString(16), before],
  );
  await tab.says("#figure-sessions", "1");
  await row(lease).click();
  await tab.row("by/lease").waitFor();
  // Only that lease's locks.
  await tab.row("by/session").waitFor({ state: "hidden" });
  await tab.page.fill("#search", "");
  await tab.page.locator("nav a[data-view=sessions]").click();
  await row(lease).waitFor();
  await server.post("/v3/lease/revoke", { ID: lease });
  await row(lease).waitFor({ state: "hidden" });
  await tab.close();
});

test("a deadlock that nobody resolves is told, until it ends", async () => {
  const [ann, bob] = [await server.lease(), await server.lease()];
  const put = (name, lease) => {
    const key = b64(`${name}/${BigInt(lease).toString(16)}`);
    return server.post("/v3/kv/put", { key, lease });
  };
  await put("left", ann);
  await put("right", bob);
  const tab = await Tab.open(browser, server);
  await put("right", ann);
  await put("left", bob);
  await tab.says("#deadlocks", "Deadlock:");
  assert.deepEqual(await tab.violations(), []);
  await tab.picture("deadlock");
  await tab.page.locator("#deadlocks a", { hasText: "left" }).click();
  await tab.says("#detail-name", "left");
  await server.post("/v3/lease/revoke", { ID: ann });
  await tab.page.locator("#deadlocks").waitFor({ state: "hidden" });
  await server.post("/v3/lease/revoke", { ID: bob });
  await tab.close();
});

test("a deadlock that the server resolves is told with its victim", async () => {
  const [ann, bob] = [await server.lease(), await server.lease()];
  const x = await server.acquire("x", ann, { owner: "ann" });
  const y = await server.acquire("y", bob, { owner: "bob" });
  const tab = await Tab.open(browser, server);
  const first = server.ask("/v1/locks/acquire", { names: [b64("y")], session: ann, wait_ms: -1, owner: "ann" });
  await server.untilWaiting("y", 1);
  // It is told for a few seconds only.
  const told = tab.says(".toast", "The wait of bob was aborted");
  const victim = await server.ask("/v1/locks/acquire", { names: [b64("x")], session: bob, wait_ms: -1, owner: "bob" });
  assert.equal(victim.code, 10, "ABORTED");
  await told;
  assert.equal(await tab.page.locator("#deadlocks").isVisible(), false);
  await server.release(bob, y);
  await server.release(ann, (await first).holds[0]);
  await server.release(ann, x);
  await tab.close();
});
