// The page itself: search and keyboard, themes, a phone's width, contrast and names for everyone,
// and what its policy forbids.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, Tab } from "./browser.mjs";
import { b64, Server } from "./server.mjs";

let server;
let browser;

/** A bit of everything that a view can show. */
before(async () => {
  server = await Server.start();
  browser = await launch();
  const [ann, bob] = [await server.lease(), await server.lease()];
  const labels = [{ key: "host", value: "h1" }];
  for (const name of ["alpha/1", "alpha/2", "beta/1", "gamma"]) {
    await server.acquire(name, ann, { owner: "ann", labels });
  }
  await server.post("/v3/lock/lock", { name: b64("etcd/lock"), lease: await server.lease() });
  await server.acquire(Buffer.from([0xfe, 0x41]), ann);
  await server.acquire("shared", bob, { owner: "bob", mode: "SHARED" });
  const wait = { names: [b64("gamma")], session: bob, wait_ms: -1, owner: "bob" };
  // It waits until the server is gone.
  server.ask("/v1/locks/acquire", wait).catch(() => null);
  await server.untilWaiting("gamma", 1);
  const held = await server.acquire("past", bob, { owner: "bob" });
  await server.release(bob, held);
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

/** In the page: whether the names in sight are these. */
function theseAreInSight(names) {
  const rows = [...document.querySelectorAll("#locks-grid .row:not([hidden])")];
  rows.sort((a, b) => a.getAttribute("aria-rowindex") - b.getAttribute("aria-rowindex"));
  return JSON.stringify(rows.map((row) => row.querySelector(".name").textContent)) === JSON.stringify(names);
}

test("search finds by name, owner, label and token", async () => {
  const tab = await Tab.open(browser, server);
  await tab.row("gamma").waitFor();
  const { locks } = await server.post("/v1/locks/list", { prefix: b64("beta/1") });
  for (const [words, found] of [
    ["ALPHA", ["alpha/1", "alpha/2"]],
    ["bob", ["gamma", "shared"]],
    ["host=h1 /1", ["alpha/1", "beta/1"]],
    [`#${locks[0].holders[0].token}`, ["beta/1"]],
    ["nothing has this", []],
  ]) {
    await tab.page.fill("#search", words);
    await tab.says("#locks-count", `${found.length} of 7`);
    // Rows are drawn a frame later.
    await tab.until(theseAreInSight, found);
  }
  await tab.says("#locks-empty", "No lock has all these words");
  await tab.close();
});

test("everything can be done with the keyboard", async () => {
  const tab = await Tab.open(browser, server);
  const { page } = tab;
  const active = () => page.evaluate(() => document.activeElement.id);
  await tab.row("gamma").waitFor();
  await page.keyboard.press("/");
  assert.equal(await active(), "search");
  await page.keyboard.type("alpha jk?");
  assert.equal(await page.inputValue("#search"), "alpha jk?", "keys are text while one types");
  await page.keyboard.press("Escape");
  assert.equal(await page.inputValue("#search"), "");
  await page.keyboard.press("Escape");
  assert.equal(await active(), "locks-grid");
  await page.keyboard.press("Home");
  await page.keyboard.press("j");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("k");
  const cursor = "#locks-grid .row[data-cursor] .name";
  await tab.until((selector) => document.querySelector(selector)?.textContent === "alpha/2", cursor);
  const named = await page.evaluate(() => {
    const id = document.activeElement.getAttribute("aria-activedescendant");
    return document.getElementById(id).querySelector(".name").textContent;
  });
  assert.equal(named, "alpha/2", "a screen reader is told the same");
  await page.keyboard.press("Enter");
  await tab.says("#detail-name", "alpha/2");
  await page.keyboard.press("j");
  await tab.says("#detail-name", "beta/1");
  await page.keyboard.press("f");
  await tab.says("#force-title", "beta/1");
  const focused = await page.evaluate(() => document.activeElement.textContent);
  assert.equal(focused, "Leave it", "Enter takes nothing away by mistake");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.locator("#detail").waitFor({ state: "hidden" });
  for (const [keys, view] of [["gs", "sessions"], ["ge", "events"], ["gt", "try"], ["gl", "locks"]]) {
    for (const key of keys) await page.keyboard.press(key);
    await page.locator(`#view-${view}`).waitFor();
    await page.locator(`nav a[data-view=${view}][aria-current=page]`).waitFor();
  }
  await page.keyboard.press("?");
  await tab.says("#help-title", "Keyboard");
  await tab.picture("help");
  await page.uncheck("#shortcuts");
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  assert.notEqual(await active(), "search", "single keys can be turned off");
  await page.reload();
  await tab.row("gamma").waitFor();
  await page.keyboard.press("?");
  assert.equal(await page.locator("#help").isVisible(), false);
  await tab.close();
});

test("the list is ordered by a click", async () => {
  const tab = await Tab.open(browser, server);
  await tab.row("gamma").waitFor();
  await tab.page.getByRole("button", { name: "Waiting" }).click();
  await tab.until(() => document.querySelector("#locks-grid .row[aria-rowindex='1'] .name").textContent === "gamma");
  const sorted = tab.page.locator("[role=columnheader][aria-sort=descending]");
  assert.equal(await sorted.textContent(), "Waiting");
  await tab.page.getByRole("button", { name: "Name" }).click();
  await tab.until(() => document.querySelector("#locks-grid .row[aria-rowindex='1'] .name").textContent === "\\xfeA");
  await tab.close();
});

const backgroundOf = (tab) => tab.page.evaluate(() => getComputedStyle(document.body).backgroundColor);

test("dark and light: as the system, unless one chooses", async () => {
  const tab = await Tab.open(browser, server, { colorScheme: "light" });
  await tab.row("gamma").waitFor();
  const light = await backgroundOf(tab);
  await tab.picture("locks-light");
  await tab.page.emulateMedia({ colorScheme: "dark" });
  const dark = await backgroundOf(tab);
  assert.notEqual(dark, light);
  await tab.picture("locks-dark");
  const theme = tab.page.getByRole("button", { name: "Theme" });
  await theme.click();
  assert.equal(await backgroundOf(tab), light);
  await tab.page.reload();
  assert.equal(await backgroundOf(tab), light, "the choice stays");
  await theme.click();
  await tab.page.emulateMedia({ colorScheme: "light" });
  assert.equal(await backgroundOf(tab), dark);
  await tab.close();
});

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

test("a phone's width", async () => {
  const tab = await Tab.open(browser, server, PHONE);
  const overflow = () => tab.page.evaluate(() => {
    const wide = [...document.querySelectorAll("body *")].filter((element) => {
      const { right, width } = element.getBoundingClientRect();
      return width > 0 && right > innerWidth + 1 && !element.closest(".unseen, .skip, .row");
    });
    return wide.map((element) => element.outerHTML.slice(0, 80));
  });
  await tab.row("gamma").waitFor();
  assert.deepEqual(await overflow(), []);
  await tab.picture("phone-locks");
  await tab.row("gamma").tap();
  await tab.says("#detail-name", "gamma");
  assert.equal(await tab.page.locator("#locks-scroller").isVisible(), false);
  assert.deepEqual(await overflow(), []);
  await tab.picture("phone-lock");
  await tab.page.getByRole("button", { name: "Back to the list" }).tap();
  await tab.row("gamma").waitFor();
  for (const view of ["sessions", "events", "try"]) {
    await tab.page.locator(`nav a[data-view=${view}]`).tap();
    await tab.page.locator(`#view-${view}`).waitFor();
    assert.deepEqual(await overflow(), [], view);
    await tab.picture(`phone-${view}`);
  }
  await tab.close();
});

/** Axe looks at what is there: each view has something to show, and the dialogs are open. */
const PLACES = {
  locks: { place: "#/", ready: "#locks-grid .row" },
  lock: { place: `#/lock/${b64("gamma").replaceAll("/", "_")}`, ready: ".line .row" },
  sessions: { place: "#/sessions", ready: "#sessions-grid .row" },
  events: { place: "#/events", ready: "#events-grid .row" },
  try: { place: "#/try", ready: ".try" },
  force: { place: `#/lock/${b64("gamma").replaceAll("/", "_")}`, ready: ".line .row", key: "f" },
  help: { place: "#/", ready: "#locks-grid .row", key: "?" },
};

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing to object to: ${colorScheme}`, async () => {
    const session = await server.lease();
    for (const [name, { place, ready, key }] of Object.entries(PLACES)) {
      for (const options of [{}, PHONE]) {
        const tab = await Tab.open(browser, server, { ...options, place, colorScheme });
        await server.release(session, await server.acquire("happens", session));
        await tab.page.locator(ready).first().waitFor();
        if (key) await tab.page.keyboard.press(key);
        assert.deepEqual(await tab.violations(), [], `${name} ${colorScheme}`);
        await tab.close();
        await tab.context.close();
      }
    }
  });
}

test("axe would object to grey on grey", async () => {
  const tab = await Tab.open(browser, server);
  await tab.page.evaluate(() => {
    document.body.style.setProperty("--muted", "#bbbbbb");
    document.documentElement.dataset.theme = "light";
  });
  const found = await tab.violations();
  assert.ok(found.some((told) => told.startsWith("color-contrast")), String(found));
  await tab.close();
});

test("no script or style can come in through the page", async () => {
  const tab = await Tab.open(browser, server);
  const tried = await tab.page.evaluate(async () => {
    const attempt = (work) => {
      try {
        work();
        return "done";
      } catch (error) {
        return error.name;
      }
    };
    const script = document.createElement("script");
    const style = document.createElement("style");
    style.append("body { outline: 3px solid red }");
    document.head.append(style);
    const answer = {
      html: attempt(() => (document.body.innerHTML = "<i>x</i>")),
      script: attempt(() => (script.text = "globalThis.ran = true")),
      // What a test calls may evaluate; what the page calls later may not.
      eval: await new Promise((resolve) => setTimeout(() => resolve(attempt(() => globalThis.eval("1"))))),
      style: getComputedStyle(document.body).outlineStyle,
      elsewhere: await fetch("http://127.0.0.2:1/").then(() => "done", (error) => error.name),
    };
    return answer;
  });
  assert.deepEqual(tried, { html: "TypeError", script: "TypeError", eval: "EvalError", style: "none", elsewhere: "TypeError" });
  assert.ok(tab.sins.all.length > 0, "what is forbidden is noticed by these tests");
  await tab.page.close();
});
