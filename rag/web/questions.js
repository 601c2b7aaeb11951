// The questions of a collection: added, removed, and chosen for an evaluation.
import * as api from "./api.js";
import { confirmed } from "./dialogs.js";
import { announce, h, icon } from "./dom.js";
import { choiceOf, field, fileBox, nameBox, offer, workForm } from "./fields.js";
import { strings } from "./strings.js";

/** Make the panel; onChange() has update() called, which leaves alone what is filled in. */
export function questionsPanel({ collection, onStarted, onChange, onProblem }) {
  const onRemoved = async () => {
    await onChange();
    (measure.element.hidden ? upload : measure).focus();
  };
  const onKept = async (made) => {
    if (await onChange()) measure.choose(made);
    measure.focus();
  };
  const measure = measureForm({ onStarted, onRemoved, onProblem });
  const upload = uploadForm({ collection, onKept, onProblem });
  return {
    element: h(
      "section",
      { class: "panel", "aria-labelledby": "new-evaluation" },
      h("h2", { id: "new-evaluation" }, strings.newEvaluation),
      measure.element,
      upload.element,
    ),
    update(sets, about) {
      measure.update(sets, about);
      if (!sets.length) upload.element.open = true;
    },
  };
}

function measureForm({ onStarted, onRemoved, onProblem }) {
  const set = choiceOf([], { required: true });
  const answers = h("input", { type: "checkbox" });
  const adapter = choiceOf([]);
  let sets = [];

  async function start() {
    const body = { set_id: Number(set.value), answers: answers.checked, adapter: adapter.value || null };
    onStarted(await api.post("/api/evaluations", body));
  }

  async function remove() {
    const chosen = sets.find((one) => String(one.id) === set.value);
    if (!(await confirmed(strings.deleteSetSure(chosen), strings.delete, strings.cancel))) return;
    try {
      await api.remove(`/api/question-sets/${chosen.id}`);
      announce(strings.deleted(chosen.name));
      await onRemoved();
    } catch (error) {
      onProblem(error);
    }
  }

  const removal = h("button", { type: "button", onclick: remove }, icon("trash"), strings.deleteSet);
  const element = workForm(
    { label: strings.startEvaluation, work: start, onProblem, pageStates: api.PAGE_STATES },
    h("div", { class: "row ends" }, field(strings.questionSet, set), removal),
    h("label", { class: "check" }, answers, strings.scoreAnswers),
    field(strings.adapter, adapter, strings.scoreAnswersMore),
  );
  return {
    element,
    update(found, about) {
      sets = found;
      element.hidden = !sets.length;
      offer(set, sets.map((one) => [String(one.id), strings.setName(one)]));
      offer(adapter, [
        ["", strings.defaultAdapter(about.adapter_for_passages)],
        ["base", strings.noAdapter],
        ...about.adapters.map((name) => [name, name]),
      ]);
    },
    choose({ id }) {
      set.value = String(id);
    },
    focus: () => set.focus(),
  };
}

function uploadForm({ collection, onKept, onProblem }) {
  const name = nameBox();
  const file = fileBox({ required: true });

  async function keep(as, text) {
    const made = await api.post("/api/question-sets", { collection: collection(), name: as, text });
    announce(strings.setKept(made.questions));
    element.open = false;
    await onKept(made);
  }

  async function put() {
    await keep(name.value, await file.files[0].text());
    name.value = file.value = "";
  }

  async function fromVotes() {
    try {
      await keep("votes", null);
    } catch (error) {
      onProblem(error);
    }
  }

  const summary = h("summary", {}, strings.addQuestions);
  const element = h(
    "details",
    { class: "more-fields" },
    summary,
    h("p", { class: "muted small" }, strings.addQuestionsMore),
    h("pre", { class: "said", tabindex: "0" }, strings.questionExample),
    workForm(
      { label: strings.keepQuestions, work: put, onProblem, pageStates: api.PAGE_STATES },
      field(strings.name, name, strings.collectionRule),
      field(strings.questionFile, file),
    ),
    h("p", { class: "muted small" }, strings.fromVotesMore),
    h("button", { type: "button", onclick: fromVotes }, strings.fromVotes),
  );
  return { element, focus: () => summary.focus() };
}
