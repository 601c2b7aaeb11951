// How an answer came about: the passages with their scores, the exact prompt, and where the time went.
import * as api from "./api.js";
import { copyButton, h } from "./dom.js";
import { placeOf } from "./places.js";
import { strings } from "./strings.js";

const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

/** Fill a box with what is known of a turn. */
export async function insight(box, turn) {
  box.replaceChildren(h("p", { class: "muted small" }, strings.loadingShort));
  let result;
  try {
    ({ result } = await api.get(`/api/turns/${turn}`));
  } catch (error) {
    box.replaceChildren(h("p", { class: "notice error", role: "alert" }, error.message || strings.failed));
    return;
  }
  box.replaceChildren(
    ...[result.hits.length > 0 && passages(result.hits), prompt(result.prompt ?? []), times(result)].filter(Boolean),
  );
}

function section(title, ...children) {
  return h("section", {}, h("h3", {}, title), ...children);
}

function passages(hits) {
  const head = [strings.rank, strings.passage, strings.fused, strings.dense, strings.lexical, strings.reranked];
  return section(
    strings.passagesGiven,
    h(
      "div",
      { class: "table", tabindex: "0", role: "region", "aria-label": strings.passagesGiven },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            head.map((name, index) => h("th", { scope: "col", class: index === 1 ? null : "number" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          hits.map((hit, index) =>
            h(
              "tr",
              {},
              h("td", { class: "number" }, String(index + 1)),
              h(
                "td",
                {},
                h("a", { href: placeOf(hit) }, hit.title),
                h("span", { class: "path" }, [hit.page && strings.page(hit.page), hit.heading].filter(Boolean).join(" · ")),
              ),
              [hit.score, hit.dense, hit.lexical, hit.relevance].map((value) =>
                h("td", { class: "number" }, score(value)),
              ),
            ),
          ),
        ),
      ),
    ),
    h("p", { class: "muted small" }, strings.scoresMore),
  );
}

function prompt(messages) {
  if (!messages.length) return section(strings.prompt, h("p", { class: "muted small" }, strings.promptNone));
  return section(
    strings.prompt,
    copyButton(strings.copyPrompt, strings.copied, () =>
      messages.map((message) => `${message.role}:\n${message.content}`).join("\n\n"),
    ),
    messages.map((message) =>
      h(
        "div",
        { class: "message" },
        h("span", { class: "muted small" }, strings.roles[message.role] ?? message.role),
        h("pre", { tabindex: "0", dir: "auto" }, message.content),
      ),
    ),
  );
}

function times({ timings, model, adapter, engine, refusal_probability: refusal }) {
  const rows = [
    [strings.timeQueued, strings.seconds(timings.queued_s)],
    [strings.timeRetrieval, strings.seconds(timings.retrieve_s)],
    [strings.timeFirst, timings.new_tokens ? strings.seconds(timings.first_token_s) : "–"],
    [strings.timeTotal, strings.seconds(timings.total_s)],
    [strings.tokens, strings.tokensOf(timings.prompt_tokens, timings.new_tokens)],
    [strings.model, adapter ? `${model}:${adapter}` : model],
    [strings.engine, engine],
    refusal !== null && [strings.refusal, `${(100 * refusal).toFixed(1)} %`],
  ].filter(Boolean);
  return section(
    strings.times,
    h(
      "dl",
      { class: "facts" },
      rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
  );
}
