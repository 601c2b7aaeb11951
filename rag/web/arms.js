// The arms of a comparison: what a question is asked of, two to four times.
import { h, icon } from "./dom.js";
import { strings } from "./strings.js";

const FEWEST = 2;
const MOST = 4;

/** What an arm is called: its documents and its adapter. */
export function armName({ collection, adapter }) {
  return [
    collection === null ? strings.askedPlain : strings.askedOf(collection),
    adapter === null ? null : strings.withAdapter(adapter),
  ]
    .filter(Boolean)
    .join(", ");
}

/** Make the choices; value() is a list of { collection, adapter }. */
export function armChoices(about) {
  const list = h("ol", { class: "arms plain", "aria-label": strings.arms });
  const add = h(
    "button",
    { type: "button", class: "quiet", onclick: () => append({ collection: null, adapter: null }) },
    icon("plus"),
    strings.addArm,
  );
  const chosen = new WeakMap(); // row → what it asks of
  const element = h("div", { class: "arm-choices" }, list, add);

  function append({ collection, adapter }) {
    const number = list.childElementCount + 1;
    const documents = h(
      "select",
      { "aria-label": strings.armCollection(number) },
      h("option", { value: "" }, strings.noDocumentsOption),
      about.collections.map((entry) => h("option", { value: entry.name, selected: entry.name === collection }, entry.name)),
    );
    const adapters = h(
      "select",
      { "aria-label": strings.armAdapter(number), hidden: !about.adapters.length },
      h("option", { value: "" }, strings.defaultAdapter(about.adapter_for_passages)),
      h("option", { value: "base", selected: adapter === "base" }, strings.noAdapter),
      about.adapters.map((name) => h("option", { value: name, selected: name === adapter }, name)),
    );
    const remove = h(
      "button",
      {
        type: "button",
        class: "quiet icon",
        "aria-label": strings.removeArm(number),
        onclick: () => {
          row.remove();
          fit();
          add.focus();
        },
      },
      icon("close"),
    );
    const row = h("li", { class: "arm" }, h("span", { class: "letter" }), documents, adapters, remove);
    chosen.set(row, () => ({ collection: documents.value || null, adapter: adapters.value || null }));
    list.append(row);
    fit();
  }

  function fit() {
    [...list.children].forEach((row, index) => {
      row.querySelector(".letter").textContent = strings.letter(index);
      row.querySelector("button").hidden = list.childElementCount <= FEWEST;
    });
    add.hidden = list.childElementCount >= MOST;
  }

  /** Begin with what is most often compared. */
  function begin(arms) {
    list.replaceChildren();
    arms.forEach(append);
  }

  const value = () => [...list.children].map((row) => chosen.get(row)());

  /** Offer what the server has now; what was chosen stays, as far as it is still there. */
  function update(fresh) {
    about = fresh;
    begin(value());
  }

  return { element, begin, update, value };
}
