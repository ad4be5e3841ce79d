// A real Chromium, and a page of the console in it that may not break the rules: no request to
// another host, no violation of the page's policy, no error that nobody handles.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { PATIENCE } from "./server.mjs";

const modules = createRequire(join(process.env.LATCHD_BROWSER_MODULES ?? ".", "node_modules", "_"));
const { chromium } = modules("playwright-core");
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

/** Where pictures of the pages go. */
const PICTURES = process.env.LATCHD_PICTURES ?? "target/console";
mkdirSync(PICTURES, { recursive: true });

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: FLAGS });
}

/** Everything that a page may not do, as it did it. */
class Sins {
  all = [];

  watch(page, origin) {
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== origin) this.all.push(`a request to ${request.url()}`);
    });
    page.on("websocket", (socket) => {
      const url = new URL(socket.url());
      if (url.host !== new URL(origin).host) this.all.push(`a WebSocket to ${socket.url()}`);
    });
    page.on("pageerror", (error) => this.all.push(error.stack));
    page.on("console", (message) => {
      const text = message.text();
      if (/Content Security Policy|Trusted ?Type|TrustedHTML/i.test(text)) this.all.push(text);
    });
  }

  none() {
    assert.deepEqual(this.all, []);
  }
}

/** A tab with the console, in a profile of its own unless `context` is given. */
export class Tab {
  constructor(page, context, sins) {
    this.page = page;
    this.context = context;
    this.sins = sins;
  }

  static async open(browser, server, { place = "#/", context, ...options } = {}) {
    const shared = context ?? (await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options }));
    const page = await shared.newPage();
    page.setDefaultTimeout(PATIENCE);
    const sins = new Sins();
    sins.watch(page, server.url);
    await page.goto(`${server.url}/${place}`);
    await page.locator("#connection[data-state=live]").waitFor();
    return new Tab(page, shared, sins);
  }

  /** The row of the lock list that has this name. */
  row(name) {
    const exact = this.page.locator("bdi.name", { hasText: new RegExp(`^${escaped(name)}$`) });
    return this.page.locator("#locks-grid .row:visible", { has: exact });
  }

  /** Waits until a function in the page is true. */
  until(truth, argument) {
    return this.page.waitForFunction(truth, argument, { timeout: PATIENCE });
  }

  /** Waits until an element has this text. */
  async says(selector, text) {
    await this.page.locator(selector).filter({ hasText: text, visible: true }).first().waitFor();
  }

  /**
   * Runs `work` and returns how much the page's thread worked at a stretch, in ms for each task. It is
   * the processor's time, so it is the same on a busy machine.
   */
  async tasks(work) {
    await this.context.browser().startTracing(this.page, { categories: ["toplevel", "__metadata"] });
    await work();
    const { traceEvents } = JSON.parse(await this.context.browser().stopTracing());
    const main = ({ name, args }) => name === "thread_name" && args.name === "CrRendererMain";
    const threads = new Set(traceEvents.filter(main).map(({ pid, tid }) => `${pid} ${tid}`));
    const isTask = ({ name, tdur, pid, tid }) =>
      name === "ThreadControllerImpl::RunTask" && tdur !== undefined && threads.has(`${pid} ${tid}`);
    return traceEvents.filter(isTask).map(({ tdur }) => tdur / 1000);
  }

  picture(name) {
    return this.page.screenshot({ path: join(PICTURES, `${name}.png`) });
  }

  /** What axe finds against WCAG 2.2 AA. */
  async violations() {
    await this.page.evaluate(axe);
    return this.page.evaluate(async () => {
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const found = await globalThis.axe.run(document, { runOnly: tags, resultTypes: ["violations", "incomplete"] });
      const told = ({ id, nodes }) => `${id}: ${nodes.map(({ target, any }) => `${target} ${any[0]?.message ?? ""}`).join("; ")}`;
      return found.violations.map(told);
    });
  }

  /** Closes it; fails if it broke a rule. */
  async close() {
    await this.page.close();
    this.sins.none();
  }
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
