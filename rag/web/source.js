// The source beside the answer: the document's own text around a quote, with the quote marked.
import * as api from "./api.js";
import { within } from "./places.js";
import { h, icon } from "./dom.js";
import { strings } from "./strings.js";

const AROUND = 1500;
const MORE = 6000;

/**
 * Make the source panel in `aside`.
 *
 * close() is called when the reader closes it, go(place) when another quote of the same answer is wanted.
 */
export function sourcePanel(aside, { close, go }) {
  let shown = 0;
  let file = null; // the PDF file that is shown

  function letGo() {
    file?.destroy();
    file = null;
  }

  function hide() {
    shown += 1;
    letGo();
    aside.hidden = true;
    aside.replaceChildren();
  }

  /** Show a place; quotes are the answer's other places, at is this one's index among them (-1 for none). */
  async function show({ collection, row, start, end }, quotes, at) {
    const own = (shown += 1);
    const marked = end > start;
    const place = await api.get(`/api/documents/${encodeURIComponent(collection)}/${row}`, {
      start: Math.max(0, start - AROUND),
      end: (marked ? end : start + MORE) + AROUND,
    });
    const quoted = marked
      ? await api.get(`/api/documents/${encodeURIComponent(collection)}/${row}`, { start, end })
      : place;
    if (own !== shown) return;
    letGo();
    const where = [quoted.page && strings.page(quoted.page), within(quoted)].filter(Boolean).join(" · ");
    const title = h("h2", { id: "source-title", tabindex: "-1" }, quoted.title);
    const body = h("div", { dir: "auto" });
    const before = h(
      "button",
      { type: "button", class: "quiet", onclick: () => extend(-1) },
      icon("up"),
      strings.showBefore,
    );
    const after = h(
      "button",
      { type: "button", class: "quiet", onclick: () => extend(1) },
      icon("down"),
      strings.showAfter,
    );
    const text = h(
      "div",
      { class: "text", tabindex: "0", role: "region", "aria-label": strings.sourceText },
      before,
      body,
      after,
    );
    const notice = h("p", { class: "muted small", role: "status", hidden: true });
    const view = h("div", { class: "row switcher", hidden: !place.original, role: "group", "aria-label": strings.showAs });
    aside.replaceChildren(
      h(
        "header",
        {},
        h(
          "div",
          { class: "row" },
          title,
          h(
            "button",
            { type: "button", class: "quiet icon", "aria-label": strings.close, onclick: close },
            icon("close"),
          ),
        ),
        h("p", { class: "muted small" }, [quoted.source, where].filter(Boolean).join(" · ")),
        quotes.length > 1 && steps(quotes, at),
        view,
        notice,
      ),
      text,
    );
    aside.hidden = false;
    title.focus({ preventScroll: true });
    if (place.original) await showPages();
    else showText();

    function showText() {
      choose("text");
      letGo();
      text.classList.remove("pages");
      text.setAttribute("aria-label", strings.sourceText);
      text.replaceChildren(before, body, after);
      draw();
      // Only the panel's own text moves; scrollIntoView would move the page as well.
      const quote = body.querySelector("mark");
      if (quote)
        text.scrollTop += quote.getBoundingClientRect().top - text.getBoundingClientRect().top - text.clientHeight / 3;
    }

    /** Show the file's own pages; where that fails, say why and show the text that was read from it. */
    async function showPages() {
      choose("pages");
      text.classList.add("pages");
      text.setAttribute("aria-label", strings.pagesOf(place.title));
      text.replaceChildren(h("p", { class: "muted small" }, strings.loadingShort));
      try {
        const [{ showPdf }, data] = await Promise.all([
          import("./pdf.js"),
          api.bytes(`/api/documents/${encodeURIComponent(collection)}/${row}/file`),
        ]);
        if (own !== shown) return;
        const drawn = await showPdf(text, data, { page: quoted.page, quote: marked ? quoted.text : "" });
        if (own !== shown) drawn.destroy();
        else file = drawn;
        say(marked && !drawn.found ? strings.quoteNotFound : "");
      } catch (error) {
        if (own !== shown) return;
        showText();
        say(`${strings.pagesFailed} ${error.message}`);
      }
    }

    function choose(what) {
      const button = (kind, label, onclick) =>
        h("button", { type: "button", "aria-pressed": String(kind === what), onclick }, label);
      view.replaceChildren(
        button("pages", strings.asPages, showPages),
        button("text", strings.asText, () => {
          say("");
          showText();
        }),
      );
    }

    function say(words) {
      notice.textContent = words;
      notice.hidden = !words;
    }

    function draw() {
      before.hidden = place.start === 0;
      after.hidden = place.end >= place.characters;
      body.replaceChildren(...pieces(place, start, end));
    }

    async function extend(direction) {
      const [from, to] = direction < 0 ? [Math.max(0, place.start - MORE), place.start] : [place.end, place.end + MORE];
      const more = await api.get(`/api/documents/${encodeURIComponent(collection)}/${row}`, { start: from, end: to });
      if (own !== shown) return;
      const height = text.scrollHeight;
      const parts = direction < 0 ? [more, { ...place }] : [{ ...place }, more];
      Object.assign(place, {
        start: parts[0].start,
        end: parts[1].end,
        text: parts[0].text + parts[1].text,
        headings: [...parts[0].headings, ...parts[1].headings],
        page_starts: [...parts[0].page_starts, ...parts[1].page_starts],
      });
      draw();
      if (direction < 0) text.scrollTop += text.scrollHeight - height;
    }
  }

  function steps(quotes, at) {
    const step = (label, name, index) =>
      h(
        "button",
        {
          type: "button",
          class: "quiet icon",
          "aria-label": label,
          disabled: !quotes[index],
          onclick: () => go(quotes, index),
        },
        icon(name),
      );
    return h(
      "div",
      { class: "row steps" },
      h("span", { class: "muted small" }, strings.quoteOf(at + 1, quotes.length)),
      step(strings.previousQuote, "up", at - 1),
      step(strings.nextQuote, "down", at + 1),
    );
  }

  return { show, hide };
}

/** Cut a slice at its quote, headings and pages. Offsets count code points; JavaScript's strings count otherwise. */
function pieces(place, start, end) {
  const points = Array.from(place.text);
  const lineEnd = (from) => {
    const at = points.indexOf("\n", from - place.start);
    return at < 0 ? place.end : place.start + at;
  };
  const headings = place.headings.map((heading) => ({ from: heading.start, to: lineEnd(heading.start) }));
  const covers = (range, at) => range.from <= at && at < range.to;
  const cuts = new Set([place.start, place.end, start, end]);
  for (const heading of headings) cuts.add(heading.from).add(heading.to);
  for (const page of place.page_starts) cuts.add(page.start);
  const ordered = [...cuts].filter((at) => at >= place.start && at <= place.end).sort((a, b) => a - b);
  const [before, quote, after] = [[], [], []];
  ordered.forEach((from, index) => {
    const nodes = from < start ? before : from < end ? quote : after;
    const page = place.page_starts.find((entry) => entry.start === from);
    if (page) nodes.push(h("span", { class: "page" }, strings.pageBreak(page.page)));
    const text = points.slice(from - place.start, (ordered[index + 1] ?? from) - place.start).join("");
    nodes.push(headings.some((heading) => covers(heading, from)) ? h("strong", { class: "heading" }, text) : text);
  });
  return [...before, ...(quote.length ? [h("mark", {}, quote)] : []), ...after];
}
