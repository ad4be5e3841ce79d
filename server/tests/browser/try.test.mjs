// Two tabs fight over a lock by the distlock protocol.

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

/** A connected tab that wants these names. */
async function contender(session, names, context) {
  const tab = await Tab.open(browser, server, { place: "#/try", context });
  await tab.page.fill("#try-session", session);
  await tab.page.fill("#try-names", names);
  await tab.page.getByRole("button", { name: "Connect" }).click();
  await tab.says("#try-log li", `Open session: ${session}`);
  return tab;
}

const press = (tab, name) => tab.page.getByRole("button", { name, exact: true }).click();
const has = (tab, name, state) => tab.page.locator(`#try-state li[data-state=${state}]`, { hasText: name }).waitFor();

test("two tabs contend for one lock", async () => {
  const first = await contender("tab-1", "fight");
  const second = await contender("tab-2", "fight", first.context);
  await press(first, "Lock");
  await has(first, "fight", "held");
  await press(second, "Lock");
  await has(second, "fight", "waiting");
  await second.says("#try-log li", "Lock owned by tab-1");
  await second.picture("try");
  await press(first, "Unlock");
  await has(second, "fight", "held");
  await first.page.locator("#try-state li").waitFor({ state: "detached" });
  const { locks } = await server.post("/v1/locks/list", { prefix: b64("fight") });
  assert.equal(locks[0].holders[0].door, "distlock");
  await press(first, "Lock");
  await has(first, "fight", "waiting");
  // A closed tab is a closed connection: its lock is free at once.
  await second.close();
  await has(first, "fight", "held");
  await first.close();
});

test("several names at once: all or none", async () => {
  const first = await contender("one", "a b");
  const second = await contender("two", "b c");
  await press(first, "Lock all or none");
  await has(first, "a", "held");
  await has(first, "b", "held");
  await press(second, "Lock all or none");
  await second.says("#try-log li", "WAIT");
  const free = await server.post("/v1/locks/list", { prefix: b64("c") });
  assert.equal((free.locks?.[0]?.holders ?? []).length, 0, "c is nobody's");
  await press(first, "Unlock all");
  await press(second, "Lock all or none");
  await has(second, "c", "held");
  await first.close();
  await second.close();
});

test("who tries sees the lock in the list, and it excludes etcd's clients", async () => {
  const tab = await contender("seen", "listed");
  await press(tab, "Lock");
  await has(tab, "listed", "held");
  await tab.page.locator("nav a[data-view=locks]").click();
  await tab.row("listed").waitFor();
  const etcd = server.post("/v3/lock/lock", { name: b64("listed"), lease: await server.lease() });
  await tab.row("listed").locator(".wait", { hasText: /^1$/ }).waitFor();
  await tab.page.locator("nav a[data-view=try]").click();
  await press(tab, "Disconnect");
  assert.ok((await etcd).key);
  await tab.close();
});
