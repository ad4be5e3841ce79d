// What a person chose in this browser: the theme, and whether single keys are shortcuts.

const THEMES = ["auto", "light", "dark"];

function read(name, otherwise) {
  try {
    return localStorage.getItem(`latchd.${name}`) ?? otherwise;
  } catch {
    // A browser may forbid storage; then a choice lasts as long as the page.
    return otherwise;
  }
}

function write(name, value) {
  try {
    localStorage.setItem(`latchd.${name}`, value);
  } catch {
    // As above.
  }
}

/** Applies the theme, and makes `button` go through them. */
export function themes(button) {
  let theme = read("theme", "auto");
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-label", `Theme: ${theme}`);
    button.title = `Theme: ${theme}`;
    button.dataset.theme = theme;
  };
  const next = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    write("theme", theme);
    apply();
  };
  button.addEventListener("click", next);
  apply();
  return next;
}

let shortcuts = read("shortcuts", "on") === "on";

/** Whether single keys are shortcuts. */
export const shortcutsOn = () => shortcuts;

/** Lets `box` say so. */
export function shortcutsSetBy(box) {
  box.checked = shortcuts;
  box.addEventListener("change", () => {
    shortcuts = box.checked;
    write("shortcuts", shortcuts ? "on" : "off");
  });
}
