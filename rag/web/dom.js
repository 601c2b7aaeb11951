// Elements without markup strings: text is always a text node, so nothing that the page shows can become code.

import { strings } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: h("a", { href, onclick, class }, ...children). Strings become text nodes, null is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make an SVG element with attributes. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

const PATHS = {
  send: "M12 19V5M5.5 11.5 12 5l6.5 6.5",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10v11H9zM5 15V4h10",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
  plus: "M12 5v14M5 12h14",
  leave: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  check: "M5 12.5l4.5 4.5L19 7.5",
  info: "M12 11v6M12 7v.5M3.5 12a8.5 8.5 0 1 0 17 0a8.5 8.5 0 1 0-17 0",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  list: "M4 6h16M4 12h16M4 18h10",
  sun: "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
  down2: "M12 4v12M6.5 11 12 16.5 17.5 11M5 20h14",
  again: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4.5h-4.5",
};

/** Make an icon; its control has a name in words, so the icon is hidden from assistive technology. */
export function icon(name) {
  const attributes = {
    viewBox: "0 0 24 24",
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "2",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    "aria-hidden": "true",
  };
  return svg("svg", attributes, svg("path", { d: PATHS[name] }));
}

/** Say something to people who do not see the page; short notices only. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** A button that copies what text() gives, and says so. */
export function copyButton(label, done, text) {
  const word = h("span", {}, label);
  return h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: async () => {
        await navigator.clipboard.writeText(text());
        word.textContent = done;
        announce(done);
        setTimeout(() => {
          word.textContent = label;
        }, 2000);
      },
    },
    icon("copy"),
    word,
  );
}

/** Say what went wrong, until it is dismissed or something else goes wrong. */
export function complain(text, dismiss) {
  document.querySelector(".toast")?.remove();
  const toast = h(
    "div",
    { class: "notice error toast", role: "alert" },
    h("span", {}, text),
    h(
      "button",
      { type: "button", class: "quiet icon", "aria-label": dismiss, onclick: () => toast.remove() },
      icon("close"),
    ),
  );
  document.body.append(toast);
}

/** Say that the server is not reached, and when it is tried again; null when it is there again. */
export function connection(wait, retry) {
  document.querySelector(".connection")?.remove();
  if (wait === null) return;
  document.body.append(
    h(
      "div",
      { class: "notice warn toast connection", role: "status" },
      h("span", {}, h("strong", {}, strings.notConnected), ` ${strings.notConnectedMore(wait / 1000)}`),
      h("button", { type: "button", onclick: retry }, strings.tryNow),
    ),
  );
}

const UNDO_MS = 15_000;

/** Say what was done, with a way back for a while; the time rests while the notice is pointed at or has the focus. */
export function undo(text, label, back) {
  document.querySelector(".undo")?.remove();
  const toast = h(
    "div",
    { class: "notice toast undo", role: "status" },
    h("span", {}, text),
    h(
      "button",
      {
        type: "button",
        onclick: () => {
          toast.remove();
          back();
        },
      },
      label,
    ),
  );
  let timer = 0;
  const rest = () => clearTimeout(timer);
  const run = () => {
    rest();
    timer = setTimeout(() => toast.remove(), UNDO_MS);
  };
  for (const name of ["pointerenter", "focusin"]) toast.addEventListener(name, rest);
  for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, run);
  document.body.append(toast);
  run();
}
