// What a question is asked of: the model, an adapter, a collection, or no documents at all. One line, always in view.
import { h } from "./dom.js";
import { strings } from "./strings.js";

/** Make the line. onchange() is called at every change; value() is what an API request takes. */
export function choices({ about, onchange }) {
  const collection = h("select", { "aria-label": strings.collection, onchange });
  const adapter = h("select", { "aria-label": strings.adapter, onchange });
  const retrieval = h("input", { type: "checkbox", checked: true, onchange });
  const model = h("span", { class: "model", title: strings.model });
  const element = h(
    "div",
    { class: "choices" },
    h("label", { class: "switch" }, retrieval, strings.useDocuments),
    collection,
    adapter,
    model,
  );

  function update(fresh) {
    const first = !about.collections.length && fresh.collections.length;
    if (first) retrieval.checked = true; // there is something to look in now
    about = fresh;
    const chosen = collection.value || about.collection;
    collection.replaceChildren(
      ...about.collections.map((entry) => h("option", { selected: entry.name === chosen }, entry.name)),
    );
    const chosenAdapter = adapter.value;
    adapter.replaceChildren(
      h("option", { value: "" }, strings.defaultAdapter(about.adapter_for_passages)),
      h("option", { value: "base", selected: chosenAdapter === "base" }, strings.noAdapter),
      ...about.adapters.map((name) => h("option", { selected: name === chosenAdapter }, name)),
    );
    adapter.hidden = !about.adapters.length;
    model.textContent = about.generator;
    fit();
  }

  /** Show what can be chosen at all. */
  function fit() {
    retrieval.disabled = !about.collections.length;
    if (retrieval.disabled) retrieval.checked = false;
    collection.hidden = !about.collections.length;
    collection.disabled = !retrieval.checked;
  }

  update(about);
  return {
    element,
    update,
    fit,
    /** { collection, adapter } as the API takes them. */
    value: () => ({ collection: retrieval.checked ? collection.value : null, adapter: adapter.value || null }),
    /** What is known of the chosen collection; undefined without documents. */
    chosen: () => (retrieval.checked ? about.collections.find((entry) => entry.name === collection.value) : undefined),
    usesDocuments: () => retrieval.checked,
    hasCollections: () => about.collections.length > 0,
    /** Choose what an earlier question was asked of, as far as it is still there. */
    choose(earlier) {
      if (about.collections.some((entry) => entry.name === earlier.collection)) collection.value = earlier.collection;
      retrieval.checked = earlier.collection !== null && about.collections.length > 0;
      const names = ["", "base", ...about.adapters];
      adapter.value = names.includes(earlier.adapter ?? "") ? (earlier.adapter ?? "") : "";
      fit();
    },
  };
}
