// Adapters: what each was trained on, what that changed, and a way to try it.
import * as api from "./api.js";
import { h, icon } from "./dom.js";
import { progressLine, runList } from "./runs.js";
import { strings } from "./strings.js";
import { trainingForm, trainingView } from "./training.js";

const HOME = "#/adapters";
const RUN = /^run-(\d+)$/;

/** Make the page; see ask.js for what it is given. */
export function adaptersPage({ about, onChange, onProblem }) {
  const shownHere = h("div", { class: "adapter-list" });
  const back = h("a", { href: HOME, class: "button" }, strings.allAdapters);
  const begin = h("a", { href: `${HOME}/new`, class: "button primary" }, icon("plus"), strings.newTraining);
  const element = h(
    "div",
    { class: "adapters column" },
    h("div", { class: "row spread" }, h("h1", { tabindex: "-1" }, strings.adapters), h("div", { class: "row" }, back, begin)),
    h("p", { class: "muted" }, strings.adaptersMore),
    shownHere,
  );
  let form = null;
  let view = null;
  let shows = 0;

  async function list(own) {
    const { adapters } = await api.get("/api/adapters");
    const runs = about.is_admin ? (await api.get("/api/runs", { kind: "training" })).runs : [];
    if (own !== shows) return; // somebody went on meanwhile
    shownHere.replaceChildren(
      ...(adapters.length ? adapters.map(card) : [none(about.is_admin)]),
      ...(runs.length ? [h("h2", {}, strings.trainings), runList(runs, (run) => `${HOME}/run-${run.id}`)] : []),
    );
  }

  async function begun(own) {
    if (form === null) {
      shownHere.replaceChildren(progressLine(strings.loadingShort));
      const { recipes } = await api.get("/api/recipes");
      if (own !== shows) return;
      form = formOf(recipes);
    }
    shownHere.replaceChildren(form);
  }

  const formOf = (recipes) =>
    trainingForm({
      recipes,
      onProblem,
      onMade: (run) => {
        form = null;
        location.hash = `${HOME}/run-${run.id}`;
      },
    });

  function run(id) {
    view = trainingView(id, {
      onProblem,
      onDone: onChange,
      onGone: () => {
        location.hash = HOME;
      },
    });
    shownHere.replaceChildren(view.element);
  }

  return {
    element,
    title: strings.adapters,
    update(fresh) {
      about = fresh;
    },
    left() {
      view?.stop();
    },
    async shown(argument) {
      view?.stop();
      shows += 1;
      const [, id] = argument.match(RUN) ?? [];
      back.hidden = argument === "";
      begin.hidden = !about.is_admin || argument === "new";
      element.querySelector("h1").focus({ preventScroll: true });
      try {
        if (id) run(id);
        else if (argument === "new") await begun(shows);
        else await list(shows);
      } catch (error) {
        onProblem(error);
      }
    },
  };
}

function none(canTrain) {
  return h(
    "div",
    { class: "notice" },
    h("p", {}, h("strong", {}, strings.noAdapters)),
    h("p", {}, canTrain ? strings.noAdaptersMore : strings.noAdaptersAsk),
  );
}

function card(adapter) {
  const facts = [
    [strings.base, adapter.base],
    [strings.licence, adapter.licence],
    [strings.trainedOn, adapter.trained_with_context ? strings.withPassages : strings.withoutPassages],
  ];
  return h(
    "article",
    { class: "adapter", "aria-label": adapter.name },
    h(
      "header",
      { class: "row spread" },
      h("h2", {}, adapter.name),
      h("span", { class: "row" }, adapter.usual && h("span", { class: "badge" }, strings.usual), gate(adapter)),
    ),
    h(
      "dl",
      { class: "facts" },
      facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    scores(adapter),
    h(
      "div",
      { class: "row" },
      adapter.offered
        ? h("a", { class: "button primary", href: `#/compare/try-${adapter.name}` }, strings.tryAdapter)
        : h("p", { class: "muted small" }, strings.notOffered),
      adapter.report &&
        h(
          "a",
          { class: "button", href: `/api/adapters/${adapter.name}/report`, download: `${adapter.name}-report.html` },
          icon("down2"),
          strings.report,
        ),
    ),
  );
}

function gate({ gate_passed: passed, accepted }) {
  if (passed) return h("span", { class: "badge ok" }, icon("check"), strings.gatePassed);
  return h("span", { class: "badge warn" }, icon("info"), accepted ? strings.gateAccepted : strings.gateFailed);
}

/** The scores of the training's checks, before and after; a file may hold them by metric, or by time. */
function scores({ scores: found }) {
  const rows = Object.keys(found.after ?? {}).map((name) => [name, found.before?.[name], found.after[name]]);
  if (!rows.length) return h("p", { class: "muted small" }, strings.noScores);
  return h(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": strings.scores },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, strings.score),
          [strings.before, strings.after, strings.change].map((name) => h("th", { scope: "col", class: "number" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(([name, before, after]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, name.replaceAll("_", " ")),
            h("td", { class: "number" }, value(before)),
            h("td", { class: "number" }, value(after)),
            h("td", { class: "number" }, before === undefined ? "–" : strings.difference(after - before)),
          ),
        ),
      ),
    ),
  );
}

const value = (number) => (number === undefined ? "–" : number.toFixed(3));
