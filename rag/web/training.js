// A training: the form that it begins with, and the run from its plan to its adapter.
import * as api from "./api.js";
import { choiceOf, field, fileBox, nameBox, numberBox, workForm } from "./fields.js";
import { announce, h } from "./dom.js";
import { plot } from "./plot.js";
import { failureOf, follow, isOpen, progressLine, runActions, stateBadge } from "./runs.js";
import { strings } from "./strings.js";

/** Make the form for a new training, from one of the server's recipes. */
export function trainingForm({ recipes, onProblem, onMade }) {
  const name = nameBox();
  const recipe = choiceOf(
    recipes.map((one) => [one.name, strings.recipes[one.name] ?? one.name]),
    { onchange: fit },
  );
  const about = h("p", { class: "muted small" });
  const train = fileBox({ required: true });
  const evaluation = fileBox();
  const steps = numberBox({ min: "1", max: "1000000", step: "1" });
  const score = choiceOf(Object.entries(strings.trainingScores), { onchange: fit });
  const form = fileBox();
  const ofForm = field(strings.answerForm, form, strings.answerFormMore);
  const skip = h("input", { type: "checkbox" });
  const licence = h("input", { type: "text", maxlength: "100", pattern: "[A-Za-z0-9.+ \\(\\)\\-]*", autocomplete: "off" });
  const element = h(
    "section",
    { class: "panel", "aria-labelledby": "new-training" },
    h("h2", { id: "new-training" }, strings.newTraining),
    h("p", { class: "muted" }, strings.newTrainingMore),
    workForm(
      { label: strings.planTraining, work, onProblem, pageStates: api.PAGE_STATES },
      field(strings.trainingName, name, strings.collectionRule),
      field(strings.trainingRows, train, strings.trainingRowsMore),
      field(strings.recipe, recipe),
      about,
      h(
        "details",
        { class: "more-fields" },
        h("summary", {}, strings.moreSettings),
        field(strings.heldOutRows, evaluation, strings.heldOutRowsMore),
        field(strings.steps, steps.box, strings.stepsMore),
        field(strings.scoredBy, score, strings.scoredByMore),
        ofForm,
        field(strings.licence, licence, strings.licenceMore),
        h("label", { class: "check" }, skip, strings.skipBadRows),
      ),
    ),
  );

  function fit() {
    ofForm.hidden = score.value !== "json_schema";
    form.required = score.value === "json_schema";
    about.textContent = recipes.find((one) => one.name === recipe.value)?.about ?? "";
  }

  async function work() {
    const settings = {
      name: name.value,
      recipe: recipe.value,
      steps: steps.value(),
      score: score.value || null,
      licence: licence.value,
      skip_bad_rows: skip.checked,
    };
    const run = await api.form("/api/runs/training", {
      settings: JSON.stringify(settings),
      train: train.files[0],
      evaluation: evaluation.files[0] ?? null,
      form: score.value === "json_schema" ? form.files[0] : null,
    });
    onMade(run);
  }

  fit();
  return element;
}

/** Make the view of a training; stop() when it is left. */
export function trainingView(id, { onProblem, onGone, onDone }) {
  const head = h("div", { class: "row spread" });
  const body = h("div", { class: "run-body", "aria-live": "off" });
  const actions = h("div", { class: "row" });
  const curve = plot({
    label: strings.lossCurve,
    x: (step) => strings.step(step),
    y: (loss) => loss.toFixed(3),
    xLabel: strings.steps,
  });
  const element = h("section", { class: "panel run", "aria-label": strings.training }, head, body, curve.element, actions);
  curve.update([]);
  let state = "";
  const followed = follow(id, show, onProblem);

  function show(run, points) {
    head.replaceChildren(h("h2", {}, run.title), stateBadge(run));
    body.replaceChildren(...bodyOf(run, points).filter(Boolean));
    curve.update(lines(points));
    if (run.state === state) return;
    if (state) announce(`${run.title}: ${strings.runStates[run.state]}`);
    if (state && run.state === "done") onDone();
    state = run.state;
    const focused = actions.contains(document.activeElement);
    actions.replaceChildren(...runActions(run, { done: followed.look, gone: onGone, onProblem }));
    if (focused) actions.querySelector("button")?.focus();
  }

  return { element, stop: followed.stop };
}

/** What was told, as lines; steps that were made again after an interruption stand once. */
function lines(points) {
  const of = (key) => [...new Map(points.filter((one) => key in one).map((one) => [one.step, one[key]]))].sort((a, b) => a[0] - b[0]);
  return [
    { name: strings.trainLoss, points: of("loss") },
    { name: strings.evalLoss, points: of("eval_loss"), dots: true },
  ];
}

function bodyOf(run, points) {
  const plan = run.result?.plan;
  if (run.state === "failed") return [failureOf(run), plan && planOf(plan)];
  if (run.state === "checking") return [progressLine(strings.checking)];
  if (run.state === "planned") return [h("p", {}, strings.planned), planOf(plan)];
  if (run.state === "done") return [outcome(run)];
  if (isOpen(run)) return [working(run, points)];
  return [h("p", {}, run.state === "cancelled" ? strings.cancelledMore : strings.interruptedMore), plan && planOf(plan)];
}

function working(run, points) {
  if (run.state === "queued") return progressLine(strings.queuedRun);
  const step = points.findLast((one) => "loss" in one);
  const phase = points.findLast((one) => "phase" in one)?.phase;
  if (phase === "judging") return progressLine(strings.judging);
  if (!step || phase === undefined) return progressLine(strings.loadingModel);
  return progressLine(strings.training_(step), step.step, step.steps);
}

function planOf(plan) {
  const warnings = ["skipped_rows", "repeated_rows", "leaked_rows", "shortened_rows"].filter((name) => plan[name]);
  if (plan.held_out_rows < 10) warnings.push("few");
  return h(
    "div",
    { class: "plan" },
    h("dl", { class: "facts" }, strings.planFacts(plan).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    warnings.length ? h("ul", { class: "notice warn" }, warnings.map((name) => h("li", {}, strings.planWarnings[name](plan[name])))) : null,
  );
}

function outcome(run) {
  const { gate } = run.result.trained;
  return h(
    "div",
    { class: `notice ${gate.passed ? "ok" : "warn"}` },
    h("p", {}, h("strong", {}, gate.passed ? strings.trainedPassed : strings.trainedFailed)),
    gate.passed ? null : h("ul", {}, gate.reasons.map((reason) => h("li", {}, reason))),
    h(
      "div",
      { class: "row" },
      gate.passed && h("a", { class: "button primary", href: `#/compare/try-${run.title}` }, strings.tryAdapter),
      h("a", { class: "button", href: "#/adapters" }, strings.toAdapters),
      h("a", { class: "button", href: `/api/adapters/${run.title}/report`, download: `${run.title}-report.html` }, strings.report),
    ),
  );
}
