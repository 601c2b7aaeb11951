// The documents of a collection: found by name and type, a page at a time, deleted with a way back.
import * as api from "./api.js";
import { announce, h, icon, undo } from "./dom.js";
import { strings } from "./strings.js";

const PAGE = 100;

/** Make the list; onChange() is called after a document went or came back. */
export function documentList({ onChange, onProblem }) {
  const search = h("input", {
    type: "search",
    placeholder: strings.search,
    "aria-label": strings.search,
    oninput: later,
  });
  const type = h("select", { "aria-label": strings.typeFilter, onchange: () => load() });
  const filters = h("div", { class: "row" }, search, type);
  const changes = h("div", {});
  const element = h("div", { class: "list" });
  const near = new IntersectionObserver(([entry]) => entry.isIntersecting && more());
  let current = "";
  let known = false;
  let loads = 0;
  let timer = 0;
  let next = null;
  let body = null;
  let busy = false;

  const wanted = () => ({ collection: current, contains: search.value.trim(), media_type: type.value, limit: PAGE });

  async function load() {
    const own = (loads += 1);
    next = null;
    try {
      const found = known ? await api.get("/api/documents", wanted()) : { documents: [], next: null, media_types: [] };
      if (own !== loads) return;
      next = found.next;
      types(found.media_types);
      changes.replaceChildren(...(found.last_sync ? [syncNotice(found.last_sync)] : []));
      body = h("tbody", {}, found.documents.map(row));
      element.replaceChildren(found.documents.length ? table(body) : nothing());
      if (next !== null) element.append(moreButton());
    } catch (error) {
      onProblem(error);
    }
  }

  function nothing() {
    const narrowed = search.value.trim() || type.value;
    if (!narrowed) return h("p", { class: "muted" }, strings.noDocuments);
    return h(
      "div",
      { class: "row" },
      h("p", { class: "muted" }, search.value.trim() ? strings.noMatch(search.value.trim()) : strings.noneOfType),
      h("button", { type: "button", onclick: () => { clear(); load(); } }, strings.clearSearch),
    );
  }

  function types(found) {
    const chosen = type.value;
    type.replaceChildren(
      h("option", { value: "" }, strings.allTypes),
      ...found.map((name) => h("option", { value: name, selected: name === chosen }, kind(name))),
    );
    type.hidden = found.length < 2;
  }

  function moreButton() {
    const button = h("button", { type: "button", class: "more", onclick: more }, strings.showMore);
    near.disconnect();
    near.observe(button);
    return button;
  }

  async function more() {
    if (busy || next === null) return;
    busy = true;
    const own = loads;
    try {
      const found = await api.get("/api/documents", { ...wanted(), after: next });
      if (own !== loads) return;
      next = found.next;
      body.append(...found.documents.map(row));
      element.querySelector(".more")?.remove();
      if (next !== null) element.append(moreButton());
    } catch (error) {
      onProblem(error);
    } finally {
      busy = false;
    }
  }

  function row(found) {
    const element_ = h(
      "tr",
      {},
      h(
        "td",
        {},
        h("a", { href: `#/document/${current}/${found.id}`, dir: "auto" }, found.title),
        found.title === found.source ? null : h("span", { class: "path" }, found.source),
      ),
      h("td", { class: "optional muted" }, kind(found.media_type)),
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
            onclick: () => remove(found, element_),
          },
          icon("trash"),
        ),
      ),
    );
    return element_;
  }

  async function remove(found, element_) {
    const place = `/api/documents/${current}/${found.id}`;
    const neighbour = (element_.nextElementSibling ?? element_.previousElementSibling)?.querySelector("button");
    element_.hidden = true;
    try {
      await api.remove(place);
    } catch (error) {
      element_.hidden = false;
      onProblem(error);
      return;
    }
    announce(strings.deleted(found.title));
    await onChange();
    (neighbour?.isConnected ? neighbour : search).focus();
    undo(strings.deleted(found.title), strings.undo, async () => {
      try {
        await api.post(`${place}/restore`);
        announce(strings.restored(found.title));
      } catch (error) {
        onProblem(error);
      }
      await onChange();
    });
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(load, 200);
  }

  function clear() {
    search.value = "";
    type.value = "";
  }

  return {
    element,
    filters,
    changes,
    clear,
    /** Show a collection; there may be none of that name yet. */
    async load(collection, exists, documents) {
      current = collection;
      known = exists;
      filters.hidden = !documents;
      await load();
    },
  };
}

const kind = (type) => type.replace(/^(text|application)\/(x-)?/, "").replace(/^vnd\..*\./, "");

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
          head.map(([text, own]) => h("th", { scope: "col", class: own }, text)),
          h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, strings.actions)),
        ),
      ),
      body,
    ),
  );
}

/** What the last sync changed, with the names when asked for. */
function syncNotice(sync) {
  const kinds = ["new", "changed", "removed", "errors"].filter((name) => sync[name].count);
  return h(
    "details",
    { class: "notice sync" },
    h("summary", {}, strings.lastSync(sync)),
    kinds.map((name) =>
      h(
        "div",
        {},
        h("h3", {}, strings.syncKinds[name]),
        h(
          "ul",
          {},
          sync[name].names.map((entry) => h("li", {}, entry.source ? `${entry.source} ${entry.error}` : entry)),
        ),
      ),
    ),
  );
}
