// Questions that stand before the page until they are answered.
import { h } from "./dom.js";
import { strings } from "./strings.js";

function shown(dialog) {
  document.body.append(dialog);
  dialog.showModal();
}

/** Ask before something that cannot be undone; resolves to whether it was confirmed. */
export function confirmed(question, action, cancel) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      {
        onclose: () => {
          resolve(dialog.returnValue === "yes");
          dialog.remove();
        },
      },
      h(
        "form",
        { method: "dialog" },
        h("p", {}, question),
        h(
          "div",
          { class: "row" },
          h("button", { value: "no", autofocus: true }, cancel),
          h("button", { value: "yes", class: "danger" }, action),
        ),
      ),
    );
    shown(dialog);
  });
}

/** Ask for the name of a new collection; resolves to null when it was cancelled. */
export function askName({ newCollection, collectionName, collectionRule, create, cancel }) {
  return new Promise((resolve) => {
    const name = h("input", {
      type: "text",
      name: "name",
      required: true,
      autofocus: true,
      maxlength: "64",
      pattern: "[a-z0-9][a-z0-9._\\-]*",
      autocomplete: "off",
      "aria-describedby": "name-rule",
    });
    const dialog = h(
      "dialog",
      {
        "aria-labelledby": "new-title",
        onclose: () => {
          resolve(dialog.returnValue === "yes" ? name.value : null);
          dialog.remove();
        },
      },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: "new-title" }, newCollection),
        h(
          "label",
          { class: "field" },
          collectionName,
          name,
          h("span", { id: "name-rule", class: "small" }, collectionRule),
        ),
        h(
          "div",
          { class: "row" },
          h("button", { type: "button", onclick: () => dialog.close("no") }, cancel),
          h("button", { value: "yes", class: "primary" }, create),
        ),
      ),
    );
    shown(dialog);
  });
}

/** Ask for a line of text; resolves to null when it was cancelled. */
export function askText({ title, label, value }) {
  return new Promise((resolve) => {
    const box = h("input", { type: "text", required: true, autofocus: true, maxlength: "200", autocomplete: "off" });
    box.value = value;
    const dialog = h(
      "dialog",
      {
        "aria-labelledby": "text-title",
        onclose: () => {
          resolve(dialog.returnValue === "yes" ? box.value.trim() || null : null);
          dialog.remove();
        },
      },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: "text-title" }, title),
        h("label", { class: "field" }, label, box),
        h(
          "div",
          { class: "row" },
          h("button", { type: "button", onclick: () => dialog.close("no") }, strings.cancel),
          h("button", { value: "yes", class: "primary" }, strings.save),
        ),
      ),
    );
    shown(dialog);
  });
}
