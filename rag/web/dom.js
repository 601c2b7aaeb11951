// Elements without markup strings: text is always a text node, so nothing that the page shows can become code.

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

const PATHS = {
  send: "M12 19V5M5.5 11.5 12 5l6.5 6.5",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10v11H9zM5 15V4h10",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
  plus: "M12 5v14M5 12h14",
  again: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4.5h-4.5",
};

/** Make an icon; its control has a name in words, so the icon is hidden from assistive technology. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of Object.entries({
    viewBox: "0 0 24 24",
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "2",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    "aria-hidden": "true",
  })) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Say something to people who do not see the page; short notices only. */
export function announce(text) {
  document.getElementById("status").textContent = text;
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
