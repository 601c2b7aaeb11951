// One answer: its text while it grows, then its sources, its times, or why there is none.
import { announce, copyButton, h, icon } from "./dom.js";
import { insight } from "./insight.js";
import * as markdown from "./markdown.js";
import { lookedAt, markerButton, sources } from "./places.js";
import { strings } from "./strings.js";
import { answerWeave, supported } from "./weave.js";

const SLOW_MS = 10_000;
const LONG = 16_384; // characters; what is longer is drawn ten times a second
const LONG_PAUSE_MS = 100;
const CHANGING = 2; // blocks: what looked like a paragraph may turn out to go on with the list before it
const SLICE_MS = 12; // so long the page may be busy with a long answer before somebody who types is heard

/**
 * Make the view of an answer.
 *
 * open(citations, index) shows a citation; askPlain() asks again without documents, again() the same once more; either
 * may be missing. The view is { element, queued, token, ended }: the last three take the server's events.
 */
export function answerView({ usesDocuments, open, askPlain, again, quiet = false }) {
  const say = quiet ? () => {} : announce;
  const prose = h("div", { class: "prose", dir: "auto" });
  const waiting = h("p", { class: "waiting" }, usesDocuments ? strings.reading : strings.thinking);
  const element = h("div", { class: "answer", "aria-busy": "true" }, waiting, prose);
  const began = performance.now();
  const slow = setInterval(() => {
    const passed = performance.now() - began;
    if (passed < SLOW_MS) return;
    if (!waiting.dataset.queued) waiting.textContent = strings.stillThinking(passed / 1000);
    if (Math.round(passed / 1000) % 10 === 0) say(strings.stillAnswering);
  }, 1000);
  let text = "";
  let found = []; // the blocks of the text; only the last two can still change
  let shown = [];
  let drawing = false;
  let over = false;

  function draw() {
    drawing = false;
    if (over) return;
    prose.classList.toggle("long", text.length >= LONG);
    const from = Math.max(0, found.length - CHANGING);
    const [first] = found.splice(from);
    found.push(...markdown.blocks(text, first?.start));
    for (const [index, block] of found.entries()) {
      if (index < from) continue;
      const key = block.kind + text.slice(block.start, block.end);
      if (shown[index] === key) continue;
      const fresh = markdown.element(block, text);
      if (prose.children[index]) prose.children[index].replaceWith(fresh);
      else prose.append(fresh);
      shown[index] = key;
    }
    while (prose.children.length > found.length) prose.lastChild.remove();
    shown.length = found.length;
  }

  /** Put markers and missing sources into the finished answer, a slice at a time. */
  async function weaveIn(weave) {
    prose.classList.toggle("long", text.length >= LONG);
    let began = performance.now();
    const found = markdown.blocks(text);
    for (const [index, block] of found.entries()) {
      const fresh = markdown.element(block, text, weave);
      const old = prose.children[index];
      if (!old) prose.append(fresh);
      else if (!fresh.isEqualNode(old)) old.replaceWith(fresh);
      if (performance.now() - began < SLICE_MS || text.length < LONG) continue;
      await new Promise((resolve) => setTimeout(resolve));
      began = performance.now();
    }
    while (prose.children.length > found.length) prose.lastChild.remove();
  }

  function drawSoon() {
    if (drawing) return;
    drawing = true;
    if (text.length < LONG) requestAnimationFrame(draw);
    else setTimeout(draw, LONG_PAUSE_MS);
  }

  function end(...parts) {
    over = true;
    clearInterval(slow);
    waiting.remove();
    element.setAttribute("aria-busy", "false");
    element.append(...parts.filter(Boolean));
  }

  function finish(answer, turn) {
    const { citations, hits } = answer;
    if (answer.abstained) {
      prose.remove();
      end(abstained(answer, open, askPlain), foot(answer, turn, again));
      say(strings.abstained);
      return;
    }
    const weave = answerWeave(answer, (citation, index) => markerButton(citation, () => open(citations, index)));
    weaveIn(weave);
    const counts = supported(answer);
    const all = counts.with === counts.all;
    if (counts.with)
      prose.before(
        h("p", { class: `counts small ${all ? "" : "some"}` }, icon(all ? "check" : "info"), strings.supported(counts)),
      );
    end(
      citations.length ? sources(citations, (index) => open(citations, index)) : unbacked(hits, open),
      answer.finish_reason === "length" && h("p", { class: "muted small" }, strings.truncated),
      foot(answer, turn, again),
    );
    say(strings.complete(counts, citations.length));
  }

  return {
    element,
    queued({ ahead }) {
      waiting.dataset.queued = ahead || "";
      if (ahead) waiting.textContent = strings.queued(ahead);
      else waiting.textContent = usesDocuments ? strings.reading : strings.thinking;
    },
    token(piece) {
      waiting.hidden = true;
      text += piece.text;
      drawSoon();
    },
    ended({ end: turn }) {
      text = turn.text ?? "";
      found = [];
      if (turn.state === "done") {
        finish(turn.result, turn);
        return;
      }
      draw();
      const retry = again && h("button", { type: "button", onclick: again }, icon("again"), strings.retry);
      if (turn.state === "failed") {
        const { message } = turn.result?.error ?? {};
        end(h("div", { class: "notice error", role: "alert" }, h("p", {}, message || strings.failed)), retry);
      } else end(h("p", { class: "muted small ending" }, strings.endings[turn.state] ?? strings.interrupted), retry);
    },
  };
}

function unbacked(hits, open) {
  if (!hits.length) return null;
  return h(
    "section",
    { class: "answer", "aria-label": strings.sources },
    h("p", { class: "notice warn" }, h("strong", {}, strings.unbacked), ` ${strings.unbackedMore}`),
    lookedAt(hits, open),
  );
}

function abstained({ hits }, open, askPlain) {
  return h(
    "section",
    { class: "abstained" },
    h("h3", {}, strings.abstained),
    h("p", {}, hits.length ? strings.lookedAt : strings.lookedAtNothing),
    hits.length > 0 && lookedAt(hits, open),
    askPlain && h("div", { class: "row" }, h("button", { type: "button", onclick: askPlain }, strings.askPlain)),
  );
}

function foot(answer, turn, again) {
  const details = h("div", { class: "insight", hidden: true });
  const why = h(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-expanded": "false",
      onclick: () => {
        details.hidden = !details.hidden;
        why.setAttribute("aria-expanded", String(!details.hidden));
        if (!details.hidden && !details.childElementCount) insight(details, turn.id);
      },
    },
    icon("info"),
    strings.insight,
  );
  return h(
    "div",
    {},
    h(
      "div",
      { class: "foot" },
      h("span", { class: "timings" }, strings.timings(answer)),
      h(
        "span",
        { class: "row" },
        copyButton(strings.copy, strings.copied, () => withSources(answer)),
        again && h("button", { type: "button", class: "quiet", onclick: again }, icon("again"), strings.retry),
        why,
      ),
    ),
    details,
  );
}

function withSources(answer) {
  const quotes = answer.citations.map(
    (c) => `[${c.number}] ${c.source}${c.page ? `, ${strings.page(c.page)}` : ""}: “${c.quote}”`,
  );
  return [answer.answer, ...quotes].join("\n");
}
