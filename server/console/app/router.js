// Which view is shown, by the part of the address after `#`.

/** The views and what the tab is called. */
export const VIEWS = { locks: "Locks", sessions: "Sessions", events: "Events", try: "Try it" };

/** `{ view, lock }` of the address; `lock` is a name in base64. */
export function place() {
  const [, first = "", second] = location.hash.split("/");
  if (first === "lock" && second !== undefined) return { view: "locks", lock: lockOf(second) };
  return { view: first in VIEWS ? first : "locks", lock: null };
}

function lockOf(part) {
  return decodeURIComponent(part).replaceAll("-", "+").replaceAll("_", "/");
}

/** The address of a view. */
export const hrefOf = (view) => (view === "locks" ? "#/" : `#/${view}`);

/** The address of a lock; base64 has characters that mean something there. */
export function hrefOfLock(id) {
  return `#/lock/${id.replaceAll("+", "-").replaceAll("/", "_")}`;
}

/** Goes there; with `replace` without a new step for the browser's way back. */
export function go(href, { replace = false } = {}) {
  if (!replace) {
    location.hash = href;
    return;
  }
  history.replaceState(null, "", href);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** Calls `listener` with the place now and whenever it changes. */
export function follow(listener) {
  addEventListener("hashchange", () => listener(place()));
  listener(place());
}
