// Parts of forms: named fields, files, and what is said when something of them is wrong.
import { h } from "./dom.js";
import { strings } from "./strings.js";

let made = 0;

/** A control with its name and, below, what it is for. */
export function field(label, control, more = "") {
  made += 1;
  control.id = `field-${made}`;
  const id = `about-${control.id}`;
  if (more) control.setAttribute("aria-describedby", id);
  return h(
    "div",
    { class: "field" },
    h("label", { for: control.id }, label),
    control,
    more && h("span", { id, class: "small hint" }, more),
  );
}

/** A field for a number; empty means that none is chosen. */
export function numberBox(attributes) {
  const box = h("input", { type: "number", inputmode: "numeric", ...attributes });
  return { box, value: () => (box.value === "" ? null : Number(box.value)) };
}

/** A field for the name of something new. */
export const nameBox = () =>
  h("input", {
    type: "text",
    required: true,
    maxlength: "64",
    pattern: "[a-z0-9][a-z0-9._\\-]*",
    autocomplete: "off",
    title: strings.collectionRule,
  });

/** A field for a file of rows. */
export const fileBox = (attributes = {}) =>
  h("input", { type: "file", accept: ".jsonl,.ndjson,.json,application/jsonl,application/json", ...attributes });

/** A choice among values: [[value, label], …]. */
export function choiceOf(options, attributes = {}) {
  const choice = h("select", attributes);
  offer(choice, options);
  return choice;
}

/** Offer other values; the one that is chosen stays, if it still is among them. */
export function offer(choice, options) {
  const chosen = choice.value;
  choice.replaceChildren(...options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
}

/** Browsers refuse to read a file again that was changed since it was chosen. */
async function requireUnchanged(form) {
  for (const box of form.querySelectorAll(".field:not([hidden]) > input[type=file]")) {
    try {
      for (const file of box.files) await file.slice(0, 1).arrayBuffer();
    } catch {
      box.value = "";
      box.closest("details")?.setAttribute("open", "");
      box.focus();
      throw new Error(strings.fileChanged);
    }
  }
}

/** A form whose button rests while it works; what is refused stands above the button until the next try. */
export function workForm({ label, work, onProblem, pageStates }, ...parts) {
  const said = h("div", { role: "alert" });
  const send = h("button", { class: "primary" }, label);
  return h(
    "form",
    {
      class: "work",
      onsubmit: async (event) => {
        const form = event.currentTarget;
        event.preventDefault();
        said.replaceChildren();
        send.disabled = true;
        try {
          await requireUnchanged(form);
          await work();
        } catch (error) {
          if (pageStates.has(error.code)) onProblem(error);
          else said.replaceChildren(h("pre", { class: "notice error said" }, error.message || strings.failed));
        } finally {
          send.disabled = false;
        }
      },
    },
    ...parts,
    said,
    h("div", { class: "row" }, send),
  );
}
