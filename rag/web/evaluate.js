// Evaluating: how well a collection's passages are found and its questions answered, over time, and the failures.
import * as api from "./api.js";
import { caseList } from "./cases.js";
import { announce, h } from "./dom.js";
import { plot } from "./plot.js";
import { questionsPanel } from "./questions.js";
import { failureOf, follow, isOpen, progressLine, runActions, stateBadge } from "./runs.js";
import { strings } from "./strings.js";

const addressOf = (collection, run = null) => `#/evaluate/${collection}${run === null ? "" : `:${run}`}`;

/** Make the page; see ask.js for what it is given. */
export function evaluatePage({ about, openSource, onProblem }) {
  const collection = h("select", {
    "aria-label": strings.collection,
    onchange: () => {
      location.hash = addressOf(collection.value);
    },
  });
  const curve = plot({
    label: strings.scoresOverTime,
    x: (at) => strings.shortMoment(at),
    y: (value) => value.toFixed(3),
    xLabel: strings.time,
    share: true,
    onpick: (point) => {
      const run = runs.find((one) => one.created === point?.[0]);
      if (run) location.hash = addressOf(current, run.id);
    },
  });
  const history = h("section", { "aria-label": strings.evaluations });
  const chosen = h("div", {});
  const begin = questionsPanel({
    collection: () => current,
    onStarted: (run) => (location.hash = addressOf(current, run.id)),
    onChange: load,
    onProblem,
  });
  const empty = h("div", { class: "notice", hidden: true }, h("p", {}, strings.nothingToEvaluate));
  const element = h(
    "div",
    { class: "evaluate column" },
    h("div", { class: "row spread" }, h("h1", { tabindex: "-1" }, strings.evaluate), collection),
    h("p", { class: "muted" }, strings.evaluateMore),
    empty,
    chosen,
    curve.element,
    history,
    begin.element,
  );
  let current = about.collection;
  let runs = [];
  let loads = 0;
  let view = null;

  async function load() {
    const own = (loads += 1);
    const found = await api.get("/api/evaluations", { collection: current });
    if (own !== loads) return false; // somebody went on meanwhile
    runs = found.runs;
    curve.update(seriesOf(runs));
    history.replaceChildren(...(runs.length ? [h("h2", {}, strings.evaluations), tableOf(runs, current)] : []));
    begin.update(found.sets, about);
    return true;
  }

  /** The list may be older than the end of the evaluation that is shown. */
  async function onEnd(ended) {
    if (runs.find((run) => run.id === ended.id)?.state === ended.state) return;
    try {
      await load();
    } catch (error) {
      onProblem(error);
    }
  }

  return {
    element,
    title: strings.evaluate,
    update(fresh) {
      about = fresh;
    },
    left() {
      view?.stop();
    },
    async shown(argument) {
      view?.stop();
      chosen.replaceChildren();
      const [name, run] = argument.split(":");
      const names = about.collections.map((one) => one.name);
      current = name || (names.includes(current) ? current : (names[0] ?? ""));
      collection.replaceChildren(...names.map((one) => h("option", { selected: one === current }, one)));
      element.querySelector("h1").focus({ preventScroll: true });
      empty.hidden = names.length > 0;
      begin.element.hidden = !names.length;
      if (!names.length) return;
      try {
        if ((await load()) && run) {
          view = evaluationView(run, { collection: current, openSource, onProblem, onEnd, onGone: () => (location.hash = addressOf(current)) });
          chosen.replaceChildren(view.element);
        }
      } catch (error) {
        onProblem(error);
      }
    },
  };
}

/** Scores of what has been measured, oldest first, a line for each measure. */
function seriesOf(runs) {
  const done = runs.filter((run) => run.state === "done").reverse();
  const of = (name, value) => ({
    name,
    dots: true,
    points: done.map((run) => [run.created, value(run.result)]).filter(([, score]) => score !== undefined && score !== null),
  });
  return [
    of(strings.measures["recall@10"], (result) => result.retrieval?.["recall@10"]),
    of(strings.measures["ndcg@10"], (result) => result.retrieval?.["ndcg@10"]),
    of(strings.measures.contains, (result) => result.answers?.contains),
  ];
}

function tableOf(runs, collection) {
  const score = (value) => (value === undefined || value === null ? "–" : value.toFixed(3));
  return h(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": strings.evaluations },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, strings.evaluationHead.map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        runs.map((run) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, h("a", { href: addressOf(collection, run.id) }, strings.shortMoment(run.created))),
            h("td", {}, run.title),
            h("td", {}, stateBadge(run)),
            h("td", { class: "number" }, score(run.result?.retrieval?.["recall@10"])),
            h("td", { class: "number" }, score(run.result?.retrieval?.["ndcg@10"])),
            h("td", { class: "number" }, score(run.result?.answers?.contains)),
          ),
        ),
      ),
    ),
  );
}

/** One evaluation: how far it is, its scores with their intervals, and its questions. */
function evaluationView(id, { collection, openSource, onProblem, onEnd, onGone }) {
  const head = h("div", { class: "row spread" });
  const body = h("div", { class: "run-body" });
  const actions = h("div", { class: "row" });
  const cases = caseList(id, { collection, openSource, onProblem });
  const element = h("section", { class: "panel run", "aria-label": strings.evaluation }, head, body, cases.element, actions);
  let state = "";
  const followed = follow(id, show, onProblem);

  function show(run, points) {
    head.replaceChildren(h("h2", {}, `${run.title}, ${strings.shortMoment(run.created)}`), stateBadge(run));
    const now = points.at(-1);
    if (run.state === "failed") body.replaceChildren(failureOf(run));
    else if (run.state === "queued") body.replaceChildren(progressLine(strings.queuedRun));
    else if (isOpen(run)) body.replaceChildren(now ? progressLine(strings.evaluationPhases[now.phase], now.done, now.of) : progressLine(strings.loadingShort));
    else if (run.state === "done") body.replaceChildren(...figures(run.result));
    else body.replaceChildren(h("p", {}, strings.evaluationStopped));
    if (run.state === state) return;
    if (run.state === "done") cases.load();
    if (state && !isOpen(run)) announce(`${run.title}: ${strings.runStates[run.state]}`);
    if (!isOpen(run)) onEnd(run);
    state = run.state;
    const focused = actions.contains(document.activeElement);
    actions.replaceChildren(...runActions(run, { done: followed.look, gone: onGone, onProblem }));
    if (focused) actions.querySelector("button")?.focus();
  }

  return { element, stop: followed.stop };
}

function figures({ retrieval, answers }) {
  const part = (title, found, names) =>
    found && [
      h("h3", {}, title),
      h(
        "dl",
        { class: "facts" },
        names
          .filter((name) => found[name] !== undefined)
          .map((name) => h("div", {}, h("dt", {}, strings.measures[name]), h("dd", {}, strings.withInterval(found[name], found.intervals[name])))),
      ),
      found.warnings.length ? h("ul", { class: "notice warn" }, found.warnings.map((one) => h("li", {}, one))) : null,
    ];
  return [
    ...(part(strings.passagesFound(retrieval?.queries), retrieval, ["recall@10", "ndcg@10", "mrr@10"]) ?? []),
    ...(part(strings.answersGiven(answers?.n, answers?.adapter), answers, ["contains", "f1", "answerable_answered", "unanswerable_refused", "citation_precision"]) ?? []),
  ].filter(Boolean);
}
