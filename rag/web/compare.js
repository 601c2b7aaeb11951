// Comparing: one question, two to four ways to answer it, side by side, and a vote that becomes a test question.
import { answerView } from "./answer.js";
import * as api from "./api.js";
import { armChoices, armName } from "./arms.js";
import { differences } from "./diff.js";
import { announce, h, icon } from "./dom.js";
import { strings } from "./strings.js";

/** Make the page; see ask.js for what it is given. */
export function comparePage({ about, events, openSource, moved, onProblem }) {
  const question = h("textarea", { rows: "2", maxlength: "20000", required: true, dir: "auto", "aria-label": strings.question });
  question.placeholder = strings.compareHint;
  const arms = armChoices(about);
  const send = h("button", { class: "primary" }, icon("send"), strings.compare);
  const form = h("form", { class: "comparing", onsubmit: submit }, question, arms.element, h("div", { class: "row spread" }, h("span"), send));
  const result = h("div", { class: "result" });
  const earlier = h("section", { class: "earlier" });
  const element = h(
    "div",
    { class: "compare" },
    h("div", { class: "row spread" }, h("h1", { tabindex: "-1" }, strings.compare), exportLink()),
    h("p", { class: "muted" }, strings.compareMore),
    form,
    result,
    earlier,
  );
  let current = null;
  const running = new Set(); // the turns of its arms that are being answered

  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    if (!event.repeat) form.requestSubmit();
  });

  async function submit(event) {
    event.preventDefault();
    const text = question.value.trim();
    if (!text || send.disabled) return;
    send.disabled = true;
    try {
      show(await api.post("/api/comparisons", { question: text, arms: arms.value() }));
      moved(current);
      announce(strings.answering);
      list();
    } catch (error) {
      onProblem(error);
    } finally {
      send.disabled = false;
    }
  }

  function stop() {
    for (const turn of running) api.post(`/api/turns/${turn}/stop`).catch(onProblem);
  }

  function show(comparison) {
    for (const turn of running) events.keep(turn); // the one before goes on, unseen
    running.clear();
    current = comparison.id;
    const columns = comparison.arms.map((arm, index) => column(arm, index, openSource));
    const voting = voteForm(comparison, columns, { onVoted: list, onProblem });
    const halt = h("button", { type: "button", onclick: stop }, icon("stop"), strings.stop);
    const marks = h("input", { type: "checkbox", disabled: true, onchange: () => columns.forEach((one) => one.mark(marks.checked, columns[0].text())) });
    result.replaceChildren(
      h("h2", { class: "question", dir: "auto" }, comparison.question),
      h("div", { class: "row" }, h("label", { class: "switch" }, marks, strings.markDifferences), halt),
      h("div", { class: "columns", tabindex: "0", role: "group", "aria-label": strings.arms }, columns.map((one) => one.element)),
      voting,
    );
    voting.hidden = true;
    let left = columns.length;
    const over = () => {
      left -= 1;
      if (left) return;
      voting.hidden = false;
      marks.disabled = false;
      halt.remove();
      announce(strings.compareComplete(columns.length));
    };
    comparison.arms.forEach((arm, index) => {
      const { on } = columns[index];
      const ended = (event) => {
        running.delete(arm.id);
        on.ended(event);
        over();
      };
      if (arm.state === "running") {
        running.add(arm.id);
        events.follow(arm.id, { ...on, ended });
      } else ended({ end: arm });
    });
  }

  async function list() {
    try {
      const { comparisons } = await api.get("/api/comparisons", { limit: 30 });
      earlier.replaceChildren(
        ...(comparisons.length
          ? [
              h("h2", {}, strings.earlierComparisons),
              h(
                "ul",
                { class: "plain" },
                comparisons.map((one) =>
                  h(
                    "li",
                    {},
                    h("a", { href: `#/compare/${one.id}`, dir: "auto" }, one.question),
                    h("span", { class: "muted small" }, one.vote ? strings.voted : strings.notVoted),
                  ),
                ),
              ),
            ]
          : []),
      );
    } catch (error) {
      onProblem(error);
    }
  }

  /** The collection that is compared on at first; null without any. */
  const home = () => (about.collections.find((entry) => entry.name === about.collection) ?? about.collections[0])?.name ?? null;

  function begin() {
    const [adapter] = about.adapters;
    const alone = { collection: null, adapter: null };
    const collection = home();
    if (adapter) arms.begin([alone, { collection, adapter: "base" }, { collection, adapter }]);
    else arms.begin([alone, { collection, adapter: null }]);
  }

  begin();
  return {
    element,
    title: strings.compare,
    update(fresh) {
      const first = !about.collections.length && fresh.collections.length;
      about = fresh;
      arms.update(fresh);
      if (first) begin(); // there is something to look in now
    },
    async shown(argument) {
      list();
      element.querySelector("h1").focus({ preventScroll: true });
      const tried = argument.match(/^try-(.+)$/);
      if (tried) {
        const collection = home();
        arms.begin([
          { collection, adapter: "base" },
          { collection, adapter: tried[1] },
        ]);
      }
      if (!/^\d+$/.test(argument) || Number(argument) === current) return;
      try {
        show(await api.get(`/api/comparisons/${argument}`));
      } catch (error) {
        onProblem(error);
      }
    },
  };
}

function exportLink() {
  return h(
    "a",
    { class: "button", href: "/api/comparisons/export", download: "comparisons.jsonl", title: strings.exportMore },
    icon("down2"),
    strings.exportVotes,
  );
}

function column(arm, index, openSource) {
  const view = answerView({ usesDocuments: arm.collection !== null, open: openSource, quiet: true });
  const facts = h("p", { class: "muted small" }, strings.waitingArm);
  const plain = h("p", { class: "marked", dir: "auto", hidden: true });
  let text = "";
  let fastest = null;
  const began = performance.now();
  return {
    text: () => text,
    element: h(
      "article",
      { class: "result-arm", "data-arm": String(index) },
      h("header", {}, h("h3", {}, h("span", { class: "letter" }, strings.letter(index)), armName(arm)), facts),
      plain,
      view.element,
    ),
    on: {
      queued: view.queued,
      token(event) {
        fastest ??= performance.now() - began;
        view.token(event);
      },
      ended(event) {
        view.ended(event);
        text = event.end.text ?? "";
        const timings = event.end.result?.timings;
        facts.textContent = timings ? strings.armFacts(timings) : "";
      },
    },
    /** Show which words differ from the first arm's, or the answer as it is. */
    mark(on, first) {
      plain.hidden = !on;
      view.element.hidden = on;
      if (on)
        plain.replaceChildren(
          ...differences(text, first).map(([words, differs]) => (differs ? h("mark", {}, words) : words)),
        );
    },
  };
}

function voteForm(comparison, columns, { onVoted, onProblem }) {
  const reason = h("input", { type: "text", maxlength: "1000", "aria-label": strings.reason, placeholder: strings.reason });
  reason.value = comparison.vote?.reason ?? "";
  const said = h("p", { class: "small", role: "status" });
  const choices = [
    ...comparison.arms.map((arm, index) => [strings.armIsBest(index), { verdict: "best", best: arm.id }]),
    [strings.allEqual, { verdict: "equal", best: null }],
    [strings.allBad, { verdict: "bad", best: null }],
  ];
  const buttons = choices.map(([label, vote]) =>
    h("button", { type: "button", "aria-pressed": "false", onclick: () => cast(vote) }, label),
  );
  press(comparison.vote);

  function press(vote) {
    choices.forEach(([, own], index) => {
      const is = vote?.verdict === own.verdict && vote.best === own.best;
      buttons[index].setAttribute("aria-pressed", String(is));
      if (own.best) columns[index].element.classList.toggle("best", is);
    });
  }

  async function cast(vote) {
    try {
      await api.post(`/api/comparisons/${comparison.id}/vote`, { ...vote, reason: reason.value.trim() });
      press(vote);
      said.textContent = strings.voteKept;
      onVoted();
    } catch (error) {
      onProblem(error);
    }
  }

  return h(
    "section",
    { class: "vote" },
    h("h3", {}, strings.voteQuestion),
    reason,
    h("div", { class: "row" }, buttons),
    said,
  );
}
