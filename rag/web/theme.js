// Light, dark, or as the system has it; the choice is kept in this browser.
import { h, icon } from "./dom.js";
import { strings } from "./strings.js";

const KEY = "homeground-theme";
const ORDER = ["system", "light", "dark"];

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** Make the button that goes through the three. */
export function themeButton() {
  let theme = ORDER.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : ORDER[0];
  const button = h("button", { type: "button", class: "quiet icon theme", onclick: next }, icon("sun"));

  function show() {
    apply(theme);
    button.setAttribute("aria-label", strings.theme(strings.themes[theme]));
    button.title = strings.theme(strings.themes[theme]);
  }

  function next() {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    localStorage.setItem(KEY, theme);
    show();
  }

  show();
  return button;
}
