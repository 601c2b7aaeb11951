// Documents: what a collection holds, and how files get in and out.
import * as api from "./api.js";
import { askName, confirmed } from "./dialogs.js";
import { announce, h, icon } from "./dom.js";
import { strings } from "./strings.js";
import { dropped, uploads } from "./upload.js";

const PAGE = 100;

/** Make the page for documents; onChange() is called when collections or their sizes have changed. */
export function documentsPage({ about, onChange, onProblem }) {
  const collection = h("select", {
    "aria-label": strings.collection,
    onchange: () => {
      location.hash = `#/documents/${collection.value}`;
    },
  });
  const search = h("input", {
    type: "search",
    placeholder: strings.search,
    "aria-label": strings.search,
    oninput: later,
  });
  const totals = h("p", { class: "muted small" });
  const list = h("div", {});
  const files = h("input", { type: "file", multiple: true, hidden: true, onchange: () => picked(files) });
  const folder = h("input", { type: "file", hidden: true, webkitdirectory: true, onchange: () => picked(folder) });
  const sending = uploads({ limit: () => about.max_upload_mb, onDone: () => load() });
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
    h("div", { class: "row spread" }, search, totals),
    list,
    h("div", { class: "row" }, deleteAll),
  );
  let current = about.collection;
  let timer = 0;
  let loads = 0;

  function update(fresh) {
    about = fresh;
    const names = about.collections.map((entry) => entry.name);
    if (!names.includes(current)) names.push(current);
    collection.replaceChildren(...names.map((name) => h("option", { selected: name === current }, name)));
  }

  async function load() {
    const own = (loads += 1);
    try {
      await onChange();
      const known = about.collections.find((entry) => entry.name === current);
      deleteAll.hidden = !known;
      const found = known
        ? await api.get("/api/documents", { collection: current, contains: search.value, limit: PAGE })
        : { documents: [], next: null };
      if (own !== loads) return;
      totals.textContent = known ? strings.total(known.documents, known.chunks) : "";
      search.hidden = !known?.documents;
      const body = h("tbody", {}, found.documents.map(rowOf));
      list.replaceChildren(
        found.documents.length
          ? table(body)
          : h("p", { class: "muted" }, search.value ? strings.noMatch(search.value) : strings.noDocuments),
      );
      if (found.next !== null) list.append(moreButton(body, found.next));
    } catch (error) {
      onProblem(error);
    }
  }

  function moreButton(body, after) {
    const button = h(
      "button",
      {
        type: "button",
        onclick: async () => {
          try {
            const found = await api.get("/api/documents", {
              collection: current,
              contains: search.value,
              limit: PAGE,
              after,
            });
            body.append(...found.documents.map(rowOf));
            button.remove();
            if (found.next !== null) list.append(moreButton(body, found.next));
          } catch (error) {
            onProblem(error);
          }
        },
      },
      strings.showMore,
    );
    return button;
  }

  function table(body) {
    const head = [
      [strings.name],
      [strings.type, "optional"],
      [strings.pages, "number optional"],
      [strings.passages, "number optional"],
      [strings.added, "optional"],
    ];
    return h(
      "div",
      { class: "table", tabindex: "0", role: "region", "aria-label": strings.documents },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            head.map(([text, kind]) => h("th", { scope: "col", class: kind }, text)),
            h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, strings.actions)),
          ),
        ),
        body,
      ),
    );
  }

  function rowOf(found) {
    const row = h(
      "tr",
      {},
      h(
        "td",
        {},
        h("a", { href: `#/document/${current}/${found.id}` }, found.title),
        found.title === found.source ? null : h("span", { class: "path" }, found.source),
      ),
      h("td", { class: "optional muted" }, found.media_type.replace(/^(text|application)\/(x-)?/, "")),
      h("td", { class: "number optional" }, found.pages ? strings.integer(found.pages) : "–"),
      h("td", { class: "number optional" }, strings.integer(found.chunks)),
      h("td", { class: "optional muted date" }, strings.day(found.added)),
      h(
        "td",
        { class: "actions" },
        h(
          "button",
          {
            type: "button",
            class: "quiet icon",
            "aria-label": strings.deleteDocument(found.title),
            onclick: async () => {
              if (!(await confirmed(strings.deleteDocumentSure(found.title), strings.delete, strings.cancel))) return;
              await attempt(() => api.remove(`/api/documents/${current}/${found.id}`));
              announce(strings.deleted(found.title));
              search.focus();
            },
          },
          icon("trash"),
        ),
      ),
    );
    return row;
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

  function later() {
    clearTimeout(timer);
    timer = setTimeout(load, 200);
  }

  update(about);
  return {
    element,
    title: strings.documents,
    update,
    shown(name) {
      if (name && name !== current) search.value = "";
      current = name || current;
      update(about);
      load();
      element.querySelector("h1").focus({ preventScroll: true });
    },
  };
}
