// Times for people. Ages are counted on the clock that never jumps.

/** Milliseconds on a clock that only runs forwards. */
export const now = () => performance.now();

/** The same moment in Unix time. */
export const unixOf = (moment) => Date.now() - (now() - moment);

/** An age or a wait: `3.2 s`, `4 m 10 s`, `2 h 5 m`, `3 d 4 h`; a dash where nobody knows. */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  const value = Math.max(0, ms);
  if (value < 1) return value === 0 ? "0 ms" : "<1 ms";
  if (value < 1000) return `${Math.floor(value)} ms`;
  if (value < 10_000) return `${(Math.floor(value / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(value / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return pair(minutes, "m", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, "h", minutes % 60, "m");
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

function pair(large, unit, small, smaller) {
  return small ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`;
}

/** An age that is counted while one looks: whole seconds, so that it does not flicker. */
export function age(since, at = now()) {
  return since === null ? "–" : wholeSeconds(at - since);
}

/** A duration that is counted while one looks. */
export function wholeSeconds(ms) {
  if (ms === null) return "–";
  return ms < 1000 ? "<1 s" : duration(Math.floor(ms / 1000) * 1000).replace(".0 s", " s");
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});
const seconds = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The time of day, to the second. */
export const clockTime = (unixMs) => seconds.format(unixMs);

/** The time of day, to the millisecond. */
export const timeOfDay = (unixMs) => clock.format(unixMs);

/** Day and time. */
export const dayAndTime = (unixMs) => date.format(unixMs);

/** A count: `1,234`. */
export const count = (number) => number.toLocaleString("en");
