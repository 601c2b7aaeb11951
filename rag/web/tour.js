// Five steps for somebody who has never seen this page, with the sample handbook.
import * as api from "./api.js";
import { complain, h, icon } from "./dom.js";
import { strings } from "./strings.js";

const AT = ["#/documents", "#/ask", "#/ask", "#/ask", "#/compare"];
let card = null;

/** Begin the tour; it stands in a corner. onAdded(collection) is called when it has brought the sample handbook in. */
export function startTour({ onAdded }) {
  close();
  let step = 0;
  const title = h("h2", { tabindex: "-1", id: "tour-title" });
  const text = h("p", {});
  const extra = h("div", { class: "row" });
  const count = h("span", { class: "muted small" });
  const back = h("button", { type: "button", class: "quiet", onclick: () => go(step - 1) }, strings.back);
  const next = h("button", { type: "button", class: "primary", onclick: () => go(step + 1) });
  card = h(
    "section",
    { class: "tour", role: "dialog", "aria-labelledby": "tour-title" },
    h(
      "div",
      { class: "row spread" },
      count,
      h("button", { type: "button", class: "quiet icon", "aria-label": strings.close, onclick: close }, icon("close")),
    ),
    title,
    text,
    extra,
    h("div", { class: "row spread" }, back, next),
  );
  document.body.append(card);
  go(0);

  function go(to) {
    if (to >= strings.tourSteps.length) {
      close();
      return;
    }
    const ahead = to >= step;
    step = to;
    const shown = strings.tourSteps[step];
    count.textContent = strings.tourCount(step + 1, strings.tourSteps.length);
    title.textContent = shown.title;
    text.textContent = shown.text;
    back.hidden = step === 0;
    next.textContent = step === strings.tourSteps.length - 1 ? strings.done : strings.next;
    extra.replaceChildren(...extras(step));
    if (ahead && !location.hash.startsWith(AT[step])) location.hash = AT[step];
    title.focus({ preventScroll: true });
  }

  function extras(at) {
    if (at === 0) return [h("button", { type: "button", onclick: addSample }, icon("plus"), strings.useSample)];
    if (at === 1) return [h("button", { type: "button", onclick: prefill }, strings.tourQuestion)];
    return [];
  }

  async function addSample(event) {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      const { collection } = await api.post("/api/sample");
      await onAdded(collection);
      go(1);
    } catch (error) {
      button.disabled = false;
      complain(error.message || strings.failed, strings.dismiss);
    }
  }

  function prefill() {
    const box = document.querySelector(".composer textarea");
    if (!box) return;
    box.value = strings.tourQuestion;
    box.focus();
  }
}

function close() {
  card?.remove();
  card = null;
}
