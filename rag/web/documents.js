// Documents: what a collection holds, and how files get in and out.
import * as api from "./api.js";
import { askName, confirmed } from "./dialogs.js";
import { documentList } from "./document_list.js";
import { announce, h, icon } from "./dom.js";
import { shareCollection } from "./sharing.js";
import { strings } from "./strings.js";
import { dropped, uploads } from "./upload.js";

/** Make the page for documents; onChange() is called when collections or their sizes have changed. */
export function documentsPage({ about, onChange, onProblem }) {
  const collection = h("select", {
    "aria-label": strings.collection,
    onchange: () => {
      location.hash = `#/documents/${collection.value}`;
    },
  });
  const totals = h("p", { class: "muted small" });
  const list = documentList({ onChange: load, onProblem });
  const files = h("input", { type: "file", multiple: true, hidden: true, onchange: () => picked(files) });
  const folder = h("input", { type: "file", hidden: true, webkitdirectory: true, onchange: () => picked(folder) });
  const sending = uploads({ limit: () => about.max_upload_mb, onDone: loadSoon });
  const drop = h(
    "div",
    { class: "drop", ondragover: over, ondragleave: out, ondrop: dropIn },
    h("h2", {}, strings.dropHere),
    h("p", { class: "muted small" }, strings.dropMore(about.max_upload_mb)),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", class: "primary", onclick: () => files.click() }, icon("plus"), strings.addFiles),
      h("button", { type: "button", onclick: () => folder.click() }, strings.addFolder),
    ),
    files,
    folder,
  );
  const deleteAll = h(
    "button",
    { type: "button", class: "quiet", onclick: deleteCollection },
    icon("trash"),
    strings.deleteCollection,
  );
  const share = h(
    "button",
    { type: "button", hidden: true, onclick: () => attempt(() => shareCollection(current, onProblem)) },
    strings.share,
  );
  const element = h(
    "div",
    { class: "documents column" },
    h(
      "div",
      { class: "row spread" },
      h("h1", { tabindex: "-1" }, strings.documents),
      h(
        "div",
        { class: "row" },
        collection,
        h("button", { type: "button", onclick: newCollection }, icon("plus"), strings.newCollection),
      ),
    ),
    drop,
    sending.element,
    list.changes,
    h("div", { class: "row spread" }, list.filters, totals),
    list.element,
    h("div", { class: "row" }, share, deleteAll),
  );
  let current = about.collection;
  let timer = 0;

  function update(fresh) {
    about = fresh;
    const names = about.collections.map((entry) => entry.name);
    if (!names.includes(current)) names.push(current);
    collection.replaceChildren(...names.map((name) => h("option", { selected: name === current }, name)));
  }

  async function load() {
    try {
      await onChange();
    } catch (error) {
      onProblem(error);
      return;
    }
    const known = about.collections.find((entry) => entry.name === current);
    const manages = Boolean(known) && (known.level === "manage" || about.is_admin);
    deleteAll.hidden = known?.level !== "manage";
    share.hidden = !manages;
    totals.textContent = known ? strings.total(known.documents, known.chunks) : "";
    await list.load(current, Boolean(known), known?.documents ?? 0);
  }

  /** Many files may be added one after the other; the list is drawn again at most twice a second. */
  function loadSoon() {
    timer ||= setTimeout(() => {
      timer = 0;
      load();
    }, 500);
  }

  async function attempt(change) {
    try {
      await change();
    } catch (error) {
      onProblem(error);
    }
    await load();
  }

  async function newCollection() {
    const name = await askName(strings);
    if (name === null) return;
    await attempt(() => api.post("/api/collections", { name }));
    location.hash = `#/documents/${name}`;
  }

  async function deleteCollection() {
    const known = about.collections.find((entry) => entry.name === current);
    if (
      !known ||
      !(await confirmed(strings.deleteCollectionSure(current, known.documents), strings.delete, strings.cancel))
    )
      return;
    await attempt(() => api.remove(`/api/collections/${current}`));
    announce(strings.deleted(known.name));
  }

  function picked(input) {
    sending.add(
      current,
      [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })),
    );
    input.value = "";
  }

  function over(event) {
    event.preventDefault();
    drop.classList.add("over");
  }

  function out(event) {
    if (!drop.contains(event.relatedTarget)) drop.classList.remove("over");
  }

  async function dropIn(event) {
    event.preventDefault();
    drop.classList.remove("over");
    sending.add(current, await dropped(event.dataTransfer));
  }

  update(about);
  return {
    element,
    title: strings.documents,
    update,
    shown(name) {
      if (name && name !== current) list.clear();
      current = name || current;
      update(about);
      load();
      element.querySelector("h1").focus({ preventScroll: true });
    },
  };
}
