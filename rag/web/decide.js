// Deciding: what a task asks for, what that speaks for, and the measurement that says whether it is so.
import * as api from "./api.js";
import { decisionView } from "./decision.js";
import { h } from "./dom.js";
import { choiceOf, field, fileBox, nameBox, numberBox, workForm } from "./fields.js";
import { priorOf } from "./prior.js";
import { runList } from "./runs.js";
import { strings } from "./strings.js";

const HOME = "#/decide";
const WAIT_MS = 250;

/** Make the page; see ask.js for what it is given. */
export function decidePage({ about, onProblem }) {
  const body = h("div", { class: "adapter-list" });
  const back = h("a", { href: HOME, class: "button" }, strings.newDecision);
  const element = h(
    "div",
    { class: "decide column" },
    h("div", { class: "row spread" }, h("h1", { tabindex: "-1" }, strings.decide), back),
    h("p", { class: "muted" }, strings.decideMore),
    body,
  );
  let form = null;
  let view = null;

  async function begin() {
    form ??= decisionForm({ about, onProblem, onMade: (run) => (location.hash = `${HOME}/${run.id}`) });
    form.update(about);
    const earlier = h("section", { "aria-label": strings.earlierDecisions });
    body.replaceChildren(form.element, earlier);
    const { runs } = await api.get("/api/runs", { kind: "decision" });
    if (runs.length)
      earlier.replaceChildren(h("h2", {}, strings.earlierDecisions), runList(runs, (run) => `${HOME}/${run.id}`));
  }

  return {
    element,
    title: strings.decide,
    update(fresh) {
      about = fresh;
      form?.update(fresh);
    },
    left() {
      view?.stop();
    },
    async shown(argument) {
      view?.stop();
      back.hidden = argument === "";
      element.querySelector("h1").focus({ preventScroll: true });
      try {
        if (!/^\d+$/.test(argument)) return await begin();
        view = decisionView(argument, { onProblem, onGone: () => (location.hash = HOME) });
        body.replaceChildren(view.element);
      } catch (error) {
        onProblem(error);
      }
    },
  };
}

function decisionForm({ about, onProblem, onMade }) {
  const changes = choiceOf(Object.entries(strings.changeChoices));
  const facts = h("input", { type: "checkbox" });
  const form = h("input", { type: "checkbox" });
  const budget = choiceOf(Object.entries(strings.budgetChoices));
  const latency = numberBox({ min: "0.1", max: "3600", step: "any" });
  const name = nameBox();
  const test = fileBox({ required: true });
  const train = fileBox();
  const collection = h("select", {});
  const score = choiceOf(Object.entries(strings.decisionScores));
  const steps = numberBox({ min: "1", max: "1000000", step: "1" });
  const said = h("div", { class: "prior", role: "status" });
  changes.value = "sometimes";
  budget.value = "medium";
  let timer = 0;
  let asked = 0;

  const requirements = () => ({
    changes: changes.value,
    facts: facts.checked,
    format: form.checked,
    budget: budget.value,
    latency_s: latency.value(),
  });

  async function look() {
    asked += 1;
    const own = asked;
    try {
      const prior = await api.post("/api/prior", requirements());
      if (own === asked) said.replaceChildren(priorOf(prior));
    } catch (error) {
      onProblem(error);
    }
  }

  const questions = h(
    "fieldset",
    {
      class: "questions",
      onchange: () => {
        clearTimeout(timer);
        timer = setTimeout(look, WAIT_MS);
      },
    },
    h("legend", {}, strings.requirements),
    field(strings.changesQuestion, changes),
    h("label", { class: "check" }, facts, strings.factsQuestion),
    h("label", { class: "check" }, form, strings.formatQuestion),
    field(strings.budgetQuestion, budget),
    field(strings.latencyQuestion, latency.box, strings.latencyMore),
  );

  async function work() {
    const settings = {
      name: name.value,
      requirements: requirements(),
      collection: collection.value || null,
      score: score.value,
      steps: steps.value(),
    };
    const sent = { settings: JSON.stringify(settings), test: test.files[0], train: train.files[0] ?? null };
    onMade(await api.form("/api/runs/decision", sent));
  }

  const element = h(
    "div",
    { class: "panel" },
    questions,
    said,
    h("h2", {}, strings.measureIt),
    h("p", { class: "muted" }, strings.measureItMore),
    workForm(
      { label: strings.startDecision, work, onProblem, pageStates: api.PAGE_STATES },
      field(strings.decisionName, name, strings.collectionRule),
      field(strings.testQuestions, test, strings.testQuestionsMore),
      field(strings.trainRows, train, strings.trainRowsMore),
      field(strings.decisionCollection, collection, strings.decisionCollectionMore),
      field(strings.rightIf, score),
      field(strings.steps, steps.box, strings.stepsOfDecision),
    ),
  );

  look();
  return {
    element,
    update(fresh) {
      about = fresh;
      const chosen = collection.value;
      collection.replaceChildren(
        h("option", { value: "" }, strings.noDocumentsOption),
        ...about.collections.map((one) => h("option", { selected: one.name === chosen }, one.name)),
      );
    },
  };
}
