// Places in documents: their address, and the cards that stand for them.
import { h } from "./dom.js";
import { strings } from "./strings.js";
import { WEAK_SUPPORT } from "./weave.js";

/** The address of a place in a document; opening it opens the source beside the answer. */
export function placeOf({ collection, document_id: row, start, end }) {
  return `#/document/${collection}/${row}?start=${start}&end=${end}`;
}

/** The headings above a place, without the first if that is the document's title. */
export function within({ heading, title }) {
  const path = heading.split(" > ");
  return (path[0] === title ? path.slice(1) : path).join(" > ");
}

/** A button that opens a citation; `computed` ones were not written by the model. */
export function markerButton(citation, onclick) {
  const weak = citation.support < WEAK_SUPPORT;
  return h(
    "button",
    {
      type: "button",
      class: ["marker", citation.computed && "computed", weak && "partly"].filter(Boolean).join(" "),
      "data-place": placeOf(citation),
      "aria-expanded": "false",
      "aria-label": strings.source(citation.number, citation.title, citation.page),
      title: weak ? strings.weak : citation.quote.slice(0, 300),
      onclick,
    },
    weak && "≈",
    String(citation.number),
  );
}

/** The quotes of an answer as cards; open(index) shows one. */
export function sources(citations, open) {
  return h(
    "section",
    { class: "answer", "aria-label": strings.sources },
    citations[0].computed && h("p", { class: "muted small" }, strings.computed),
    h(
      "ul",
      { class: "sources plain" },
      citations.map((citation, index) =>
        h(
          "li",
          {},
          card(citation, citation.quote, () => open(index)),
        ),
      ),
    ),
  );
}

/** The passages that retrieval found, as cards. */
export function lookedAt(hits, open) {
  const places = hits.map((hit) => ({ ...hit, quote: hit.text }));
  return h(
    "ul",
    { class: "sources plain" },
    places.map((place, index) => {
      const quote = [place.table_header, beginning(place.text)].filter(Boolean).join("\n");
      return h(
        "li",
        {},
        card(place, quote, () => open(places, index), null),
      );
    }),
  );
}

function card(place, quote, onclick, number = place.number) {
  const where = [place.page && strings.page(place.page), within(place)].filter(Boolean).join(" · ");
  return h(
    "button",
    { type: "button", class: "card", "data-place": placeOf(place), "aria-expanded": "false", onclick },
    number && h("span", { class: "marker", "aria-hidden": "true" }, String(number)),
    h(
      "span",
      { class: "about" },
      h("span", { class: "where", dir: "auto" }, place.title),
      h("span", { class: "place" }, where || place.source),
      h("span", { class: "quote", dir: "auto" }, quote),
      place.support < WEAK_SUPPORT && h("span", { class: "weak" }, strings.weak),
    ),
  );
}

/** A passage without the heading lines at its beginning, which stand above it already. */
function beginning(text) {
  return text.replace(/^\s*(#{1,6} [^\n]*\n+)+/, "");
}
