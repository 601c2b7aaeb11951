// One answer: its text while it grows, then its sources, its times, or why there is none.
import { announce, h, icon } from "./dom.js";
import * as markdown from "./markdown.js";
import { strings } from "./strings.js";

const WEAK_SUPPORT = 0.5;
const SLOW_MS = 10_000;

/** The address of a place in a document; opening it opens the source beside the answer. */
export function placeOf({ collection, document_id: row, start, end }) {
  return `#/document/${collection}/${row}?start=${start}&end=${end}`;
}

/** The headings above a place, without the first if that is the document's title. */
export function within({ heading, title }) {
  const path = heading.split(" > ");
  return (path[0] === title ? path.slice(1) : path).join(" > ");
}

/**
 * Make the view of an answer.
 *
 * open(citations, index) shows a citation, askPlain() asks again without documents. The view is
 * { element, queued, token, finish, fail, stopped }.
 */
export function answerView({ usesDocuments, open, askPlain }) {
  const prose = h("div", { class: "prose", dir: "auto" });
  const waiting = h("p", { class: "waiting" }, usesDocuments ? strings.reading : strings.thinking);
  const element = h("div", { class: "answer", "aria-busy": "true" }, waiting, prose);
  const began = performance.now();
  const slow = setInterval(() => {
    const passed = performance.now() - began;
    if (passed >= SLOW_MS && !waiting.dataset.queued) waiting.textContent = strings.stillThinking(passed / 1000);
  }, 1000);
  let text = "";
  let shown = [];
  let frame = 0;

  const inert = (number, raw) => h("span", { class: "marker" }, raw.slice(1, -1));

  function draw(marker = inert, afresh = false) {
    frame = 0;
    const found = markdown.blocks(text);
    found.forEach((block, index) => {
      const key = block.kind + block.lines.join("\n");
      if (!afresh && shown[index] === key) return;
      const fresh = markdown.element(block, marker);
      if (prose.children[index]) prose.children[index].replaceWith(fresh);
      else prose.append(fresh);
      shown[index] = key;
    });
  }

  function end(...parts) {
    clearInterval(slow);
    cancelAnimationFrame(frame);
    waiting.remove();
    element.setAttribute("aria-busy", "false");
    element.append(...parts.filter(Boolean));
  }

  function finish(answer) {
    text = answer.answer;
    const { citations } = answer;
    const seen = new Map();
    if (answer.abstained) {
      end(abstained(answer, open, askPlain), foot(answer));
      prose.remove();
      announce(strings.abstained);
      return;
    }
    draw((number, raw) => {
      const own = citations
        .map((citation, index) => ({ citation, index }))
        .filter((entry) => entry.citation.number === number);
      if (!own.length) return raw;
      const turn = seen.get(number) ?? 0;
      seen.set(number, turn + 1);
      const { citation, index } = own[Math.min(turn, own.length - 1)];
      return markerButton(citation, () => open(citations, index));
    }, true);
    end(
      citations.length ? sources(citations, open) : unbacked(answer, open),
      answer.finish_reason === "length" && h("p", { class: "muted small" }, strings.truncated),
      foot(answer),
    );
    announce(strings.complete(citations.length));
  }

  return {
    element,
    finish,
    queued({ ahead }) {
      waiting.dataset.queued = ahead || "";
      if (ahead) waiting.textContent = strings.queued(ahead);
      else waiting.textContent = usesDocuments ? strings.reading : strings.thinking;
    },
    token(piece) {
      if (!text) waiting.hidden = true;
      text += piece.text;
      frame ||= requestAnimationFrame(() => draw());
    },
    fail(message) {
      draw();
      end(h("p", { class: "notice error", role: "alert" }, message));
    },
    stopped() {
      draw();
      end(h("p", { class: "muted small" }, strings.stopped));
    },
  };
}

function markerButton(citation, onclick) {
  return h(
    "button",
    {
      type: "button",
      class: "marker",
      "data-place": placeOf(citation),
      "aria-expanded": "false",
      "aria-label": strings.source(citation.number, citation.title, citation.page),
      onclick,
    },
    String(citation.number),
  );
}

function sources(citations, open) {
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
          card(citation, citation.quote, () => open(citations, index)),
        ),
      ),
    ),
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
      h("span", { class: "where" }, place.title),
      h("span", { class: "place" }, where || place.source),
      h("span", { class: "quote" }, quote),
      place.support < WEAK_SUPPORT && h("span", { class: "weak" }, strings.weak),
    ),
  );
}

function lookedAt(answer, open) {
  const places = answer.hits.map((hit) => ({ ...hit, quote: hit.text }));
  return h(
    "ul",
    { class: "sources plain" },
    places.map((place, index) =>
      h(
        "li",
        {},
        card(
          place,
          [place.table_header, beginning(place.text)].filter(Boolean).join("\n"),
          () => open(places, index),
          null,
        ),
      ),
    ),
  );
}

/** A passage without the heading lines at its beginning, which stand above it already. */
function beginning(text) {
  return text.replace(/^\s*(#{1,6} [^\n]*\n+)+/, "");
}

function unbacked(answer, open) {
  if (!answer.hits.length) return null;
  return h(
    "section",
    { class: "answer", "aria-label": strings.sources },
    h("p", { class: "notice warn" }, h("strong", {}, strings.unbacked), ` ${strings.unbackedMore}`),
    lookedAt(answer, open),
  );
}

function abstained(answer, open, askPlain) {
  return h(
    "section",
    { class: "abstained" },
    h("h3", {}, strings.abstained),
    h("p", {}, answer.hits.length ? strings.lookedAt : strings.lookedAtNothing),
    answer.hits.length > 0 && lookedAt(answer, open),
    h("div", { class: "row" }, h("button", { type: "button", onclick: askPlain }, strings.askPlain)),
  );
}

function foot(answer) {
  const copy = h(
    "button",
    { type: "button", class: "quiet", onclick: () => copyAnswer(answer, copy) },
    icon("copy"),
    strings.copy,
  );
  return h("div", { class: "foot" }, h("span", { class: "timings" }, strings.timings(answer)), copy);
}

async function copyAnswer(answer, button) {
  const quotes = answer.citations.map(
    (c) => `[${c.number}] ${c.source}${c.page ? `, ${strings.page(c.page)}` : ""}: “${c.quote}”`,
  );
  await navigator.clipboard.writeText([answer.answer, ...quotes].join("\n"));
  button.lastChild.data = strings.copied;
  announce(strings.copied);
  setTimeout(() => {
    button.lastChild.data = strings.copy;
  }, 2000);
}
