// Asking: the question box, what a question is asked of, and the turns.
import { answerView } from "./answer.js";
import * as api from "./api.js";
import { announce, h, icon } from "./dom.js";
import { strings } from "./strings.js";

const MOST_TURNS = 20; // of a conversation that a question goes on from

/**
 * Make the page for asking. It is made once and keeps its turns while other pages are shown.
 *
 * about: what the server has; openSource(citations, index); onProblem(error) for what concerns the whole page.
 */
export function askPage({ about, openSource, onProblem }) {
  const turns = h("ol", { class: "turns plain", "aria-label": strings.answers });
  const empty = h("div", { class: "middle" });
  const question = h("textarea", {
    name: "question",
    rows: "1",
    maxlength: "20000",
    autocomplete: "off",
    enterkeyhint: "send",
    "aria-label": strings.question,
  });
  const collection = h("select", { "aria-label": strings.collection, onchange: refresh });
  const adapter = h("select", { "aria-label": strings.adapter });
  const retrieval = h("input", { type: "checkbox", checked: true, onchange: refresh });
  const send = h("button", { class: "primary send" }, icon("send"), h("span", {}, strings.ask));
  const form = h(
    "form",
    { onsubmit: submit },
    question,
    h(
      "div",
      { class: "controls" },
      h("label", { class: "switch" }, retrieval, strings.useDocuments),
      collection,
      adapter,
      send,
    ),
  );
  const element = h(
    "div",
    { class: "ask" },
    h("h1", { class: "visually-hidden" }, strings.ask),
    empty,
    h("div", { class: "conversation column", hidden: true }, turns),
    h("div", { class: "composer column" }, form),
  );
  let running = null;
  const history = [];

  question.addEventListener("keydown", (event) => {
    // While a word is being composed (Japanese, Chinese), Enter chooses it and sends nothing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    if (!running) form.requestSubmit();
  });

  function refresh() {
    const found = about.collections.find((entry) => entry.name === collection.value);
    retrieval.disabled = !about.collections.length;
    if (retrieval.disabled) retrieval.checked = false;
    collection.hidden = !about.collections.length;
    collection.disabled = !retrieval.checked;
    question.placeholder = retrieval.checked ? strings.questionHint : strings.questionHintPlain;
    if (!retrieval.checked && about.collections.length)
      empty.replaceChildren(h("h2", { class: "h1" }, strings.welcome), h("p", {}, strings.welcomePlain));
    else if (found?.documents)
      empty.replaceChildren(
        h("h2", { class: "h1" }, strings.welcome),
        h("p", {}, strings.welcomeMore(found.name, found.documents)),
      );
    else {
      empty.replaceChildren(
        h("h2", { class: "h1" }, strings.nothingYet),
        h("p", {}, strings.nothingYetMore),
        h(
          "button",
          {
            type: "button",
            class: "primary",
            onclick: () => {
              location.hash = "#/documents";
            },
          },
          icon("plus"),
          strings.addDocuments,
        ),
      );
    }
  }

  function update(fresh) {
    const first = !about.collections.length && fresh.collections.length;
    if (first) retrieval.checked = true; // there is something to look in now
    about = fresh;
    const chosen = collection.value || about.collection;
    collection.replaceChildren(
      ...about.collections.map((entry) => h("option", { selected: entry.name === chosen }, entry.name)),
    );
    const adapterChosen = adapter.value;
    adapter.replaceChildren(
      h("option", { value: "" }, strings.defaultAdapter(about.adapter_for_passages)),
      h("option", { value: "base", selected: adapterChosen === "base" }, strings.noAdapter),
      ...about.adapters.map((name) => h("option", { selected: name === adapterChosen }, name)),
    );
    adapter.hidden = !about.adapters.length;
    refresh();
  }

  function submit(event) {
    event.preventDefault();
    if (running) {
      running.abort();
      return;
    }
    const text = question.value.trim();
    if (!text) return;
    question.value = "";
    run(text, retrieval.checked);
  }

  async function run(text, usesDocuments) {
    running = new AbortController();
    busy(true);
    const chosen = usesDocuments ? collection.value : null;
    const view = answerView({
      usesDocuments,
      open: openSource,
      askPlain: () => {
        if (!running) run(text, false);
      },
    });
    const turn = h("li", { class: "turn" }, h("h2", { class: "question", dir: "auto" }, text), view.element);
    empty.hidden = true;
    turns.parentElement.hidden = false;
    turns.append(turn);
    // Once: the question goes to the top and the answer grows below it. After that the view belongs to the reader.
    turn.scrollIntoView({
      block: "start",
      behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
    });
    announce(strings.answering);
    let ended = false;
    try {
      const body = {
        question: text,
        collection: chosen,
        adapter: adapter.value || null,
        history: history.slice(-MOST_TURNS),
      };
      await api.ask(
        body,
        {
          queued: view.queued,
          token: view.token,
          answer(answer) {
            ended = true;
            view.finish(answer);
            // A refusal says nothing that a later answer could build on, and would only invite the next one.
            if (!answer.abstained)
              history.push({ role: "user", content: text }, { role: "assistant", content: answer.answer });
          },
          error({ error }) {
            ended = true;
            view.fail(error.message);
          },
        },
        running.signal,
      );
      if (!ended) view.fail(strings.interrupted);
    } catch (error) {
      if (error.name === "AbortError") view.stopped();
      else view.fail(error instanceof api.ApiError && error.message ? error.message : strings.interrupted);
      if (api.PAGE_STATES.has(error.code)) onProblem(error);
    } finally {
      running = null;
      busy(false);
    }
  }

  function busy(is) {
    send.replaceChildren(icon(is ? "stop" : "send"), h("span", {}, is ? strings.stop : strings.ask));
    send.classList.toggle("primary", !is);
  }

  update(about);
  return {
    element,
    update,
    shown: () => question.focus({ preventScroll: true }),
    /** Stop the running answer; false if none runs. */
    stop() {
      running?.abort();
      return running !== null;
    },
  };
}
