// A decision that is measured: a row for each way, and at the end what it says.
import { announce, h, icon } from "./dom.js";
import { priorOf } from "./prior.js";
import { failureOf, follow, isOpen, progressLine, runActions, stateBadge } from "./runs.js";
import { strings } from "./strings.js";

/** Make the view of a decision; stop() when it is left. */
export function decisionView(id, { onProblem, onGone }) {
  const head = h("div", { class: "row spread" });
  const body = h("div", { class: "run-body" });
  const actions = h("div", { class: "row" });
  const element = h("section", { class: "panel run", "aria-label": strings.decision }, head, body, actions);
  let state = "";
  const followed = follow(id, show, onProblem);

  function show(run, points) {
    head.replaceChildren(h("h2", {}, run.title), stateBadge(run));
    if (isOpen(run) || run.state !== state) body.replaceChildren(...bodyOf(run, points).filter(Boolean));
    if (run.state === state) return;
    if (state) announce(`${run.title}: ${strings.runStates[run.state]}`);
    state = run.state;
    const focused = actions.contains(document.activeElement);
    actions.replaceChildren(...runActions(run, { done: followed.look, gone: onGone, onProblem }));
    if (focused) actions.querySelector("button")?.focus();
  }

  return { element, stop: followed.stop };
}

function bodyOf(run, points) {
  if (run.state === "failed") return [failureOf(run), armsOf(points)];
  if (run.state === "done") return outcome(run);
  if (run.state === "queued") return [progressLine(strings.queuedRun)];
  if (isOpen(run)) return [phaseOf(points), armsOf(points)];
  return [h("p", {}, strings.decisionStopped), armsOf(points)];
}

/** What is done now: indexing, a training with its steps, or asking. */
function phaseOf(points) {
  const at = points.findLastIndex((one) => one.phase === "indexing" || one.phase === "asking" || one.adapter);
  if (at < 0) return progressLine(strings.readingQuestions);
  const now = points[at];
  if (now.phase === "indexing") return progressLine(strings.indexing);
  if (now.phase === "asking") return progressLine(strings.askingArm(strings.armNames[now.arm]), now.done, now.of);
  const step = points.slice(at).findLast((one) => "loss" in one);
  const name = strings.trainingOf[now.adapter];
  return step ? progressLine(`${name}: ${strings.training_(step)}`, step.step, step.steps) : progressLine(`${name}…`);
}

function armsOf(points) {
  const arms = new Map(points.filter((one) => one.arm).map((one) => [one.arm, one]));
  if (!arms.size) return null;
  const rows = [...arms.values()].map(({ arm, done, of }) => [
    strings.armNames[arm],
    h("progress", { max: String(of), value: String(done), "aria-label": strings.armNames[arm] }),
    strings.askedSoFar(done, of),
  ]);
  return table(strings.waysMeasured, [strings.way, strings.progress, strings.questions], rows);
}

function outcome(run) {
  const { recommendation, cannot_conclude: unknown, arms, prior, questions } = run.result;
  return [
    h(
      "section",
      { class: "notice ok", "aria-label": strings.recommendation },
      h("h3", {}, strings.recommendation),
      recommendation.sentences.map((sentence) => h("p", {}, sentence)),
    ),
    unknown.length
      ? h("section", { class: "notice warn", "aria-label": strings.notConcluded }, h("h3", {}, strings.notConcluded), h("ul", {}, unknown.map((one) => h("li", {}, one))))
      : null,
    table(
      strings.decisionTable(questions),
      [strings.way, strings.right, strings.interval, strings.answerTime],
      Object.entries(arms).map(([arm, found]) => [strings.armNames[arm], ...strings.armFigures(found)]),
    ),
    h(
      "div",
      { class: "row" },
      h("a", { class: "button primary", href: `/api/runs/${run.id}/report`, download: `${run.title}-report.html` }, icon("down2"), strings.wholeReport),
    ),
    priorOf(prior),
  ];
}

function table(label, head, rows) {
  return h(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": label },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((cell) => h("td", {}, cell))))),
    ),
  );
}
