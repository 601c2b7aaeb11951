// Asking: the conversations, the turns of one of them, the question box, and what a question is asked of.
import * as api from "./api.js";
import { choices } from "./choices.js";
import { conversationList } from "./conversations.js";
import { confirmed } from "./dialogs.js";
import { announce, h, icon } from "./dom.js";
import { strings } from "./strings.js";
import { startTour } from "./tour.js";
import { turnView } from "./turn.js";
import { welcome } from "./welcome.js";

/**
 * Make the page for asking.
 *
 * about: what the server has; events: the tab's stream; openSource(citations, index); moved(id) tells which conversation
 * the address shall name; onChange() asks the server again what it has; onProblem(error) for what concerns the whole page.
 */
export function askPage({ about, events, openSource, moved, onChange, onProblem }) {
  const turns = h("ol", { class: "turns plain", "aria-label": strings.answers });
  const empty = h("div", { class: "middle" });
  const list = conversationList({ onGone: (id) => id === current && moved(null), onProblem });
  const of = choices({ about, onchange: refresh });
  const question = h("textarea", {
    name: "question",
    rows: "1",
    maxlength: "20000",
    autocomplete: "off",
    enterkeyhint: "send",
    dir: "auto",
    "aria-label": strings.question,
  });
  const send = h("button", { class: "primary send" }, icon("send"), h("span", {}, strings.ask));
  const latest = h(
    "button",
    { type: "button", class: "latest", hidden: true, onclick: () => last()?.end.scrollIntoView({ block: "end" }) },
    icon("down"),
    strings.latest,
  );
  const form = h("form", { onsubmit: submit }, question, h("div", { class: "controls" }, list.toggle, of.element, send));
  const element = h(
    "div",
    { class: "ask" },
    list.element,
    h(
      "div",
      { class: "talk" },
      h("h1", { class: "visually-hidden" }, strings.ask),
      empty,
      h("div", { class: "conversation column", hidden: true }, turns),
      h("div", { class: "composer column" }, latest, form),
    ),
  );
  const below = new IntersectionObserver(([entry]) => {
    latest.hidden = entry.isIntersecting || entry.boundingClientRect.top < 0;
  });
  let current = null; // the conversation that is shown; null for a new one
  let loads = 0;
  let views = []; // of its turns: { id, end, … }
  let running = null; // the turn that is being answered
  let sending = false;

  question.addEventListener("keydown", (event) => {
    // While a word is being composed (Japanese, Chinese), Enter chooses it and sends nothing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    if (running === null) form.requestSubmit();
  });

  const last = () => views.at(-1);

  function refresh() {
    of.fit();
    question.placeholder = of.usesDocuments() ? strings.questionHint : strings.questionHintPlain;
    empty.replaceChildren(...welcome({ of, tour: () => startTour({ onAdded: added }) }));
  }

  /** The tour has brought a collection in: what is asked next is asked of it. */
  async function added(collection) {
    await onChange();
    of.choose({ collection, adapter: null });
    refresh();
  }

  function submit(event) {
    event.preventDefault();
    if (running !== null) {
      stop();
      return;
    }
    const text = question.value.trim();
    if (!text || sending) return;
    question.value = "";
    ask(text);
  }

  async function ask(text, { plain = false, replaces = null, asksFirst = false } = {}) {
    if (sending || (running !== null && replaces === null)) return;
    const later = replaces === null ? 0 : views.filter((view) => view.id > replaces).length;
    if (asksFirst && later && !(await confirmed(strings.replacesLater(later), strings.askAgain, strings.cancel))) return;
    sending = true;
    const chosen = of.value();
    if (plain) chosen.collection = null;
    try {
      if (current === null) {
        const made = await api.post("/api/conversations");
        current = made.id;
        moved(current);
      }
      const turn = await api.post(`/api/conversations/${current}/turns`, { question: text, replaces, ...chosen });
      if (replaces !== null) drop(replaces);
      const view = add(turn);
      // Once: the question goes to the top and the answer grows below it. After that the view belongs to the reader.
      view.element.scrollIntoView({
        block: "start",
        behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
      });
      announce(strings.answering);
      list.load();
      list.show(current);
    } catch (error) {
      if (!question.value) question.value = text; // nothing that was typed is lost
      onProblem(error);
    } finally {
      sending = false;
    }
  }

  /** Take a turn, and all behind it, out of the view. */
  function drop(id) {
    for (const view of views.filter((one) => one.id >= id)) {
      events.unfollow(view.id);
      view.element.remove();
      if (running === view.id) running = null;
    }
    views = views.filter((one) => one.id < id);
  }

  function add(turn) {
    const view = { id: turn.id, ...turnView(turn, { open: openSource, ask }) };
    empty.hidden = true;
    turns.parentElement.hidden = false;
    turns.append(view.element);
    views.push(view);
    below.disconnect();
    below.observe(view.end);
    if (turn.state === "running") {
      running = turn.id;
      busy();
      const { ended } = view.on;
      const on = {
        ...view.on,
        ended(event) {
          ended(event);
          if (running === turn.id) running = null;
          busy();
        },
      };
      events.follow(turn.id, on);
    } else view.on.ended({ end: turn });
    return view;
  }

  async function show(id) {
    if (id === current) return;
    const own = (loads += 1);
    // Turns of the conversation before go on while this tab is open; only their view ends.
    for (const view of views) if (view.id === running) events.keep(view.id);
    current = id;
    running = null;
    views = [];
    latest.hidden = true;
    turns.replaceChildren();
    turns.parentElement.hidden = true;
    empty.hidden = false;
    list.show(id);
    busy();
    if (id === null) {
      refresh();
      return;
    }
    try {
      const found = await api.get(`/api/conversations/${id}`);
      if (own !== loads) return;
      found.turns.forEach(add);
      const end = found.turns.at(-1);
      if (end) {
        of.choose(end);
        refresh();
        last().element.scrollIntoView({ block: "start", behavior: "instant" });
      }
    } catch (error) {
      current = null;
      moved(null);
      onProblem(error);
    }
  }

  function busy() {
    const is = running !== null;
    send.replaceChildren(icon(is ? "stop" : "send"), h("span", {}, is ? strings.stop : strings.ask));
    send.classList.toggle("primary", !is);
  }

  function stop() {
    if (running === null) return false;
    api.post(`/api/turns/${running}/stop`).catch(onProblem);
    return true;
  }

  refresh();
  list.load();
  return {
    element,
    title: strings.ask,
    update(fresh) {
      of.update(fresh);
      refresh();
    },
    async shown(argument) {
      await show(/^\d+$/.test(argument) ? Number(argument) : null);
      question.focus({ preventScroll: true });
    },
    /** Stop the running answer; false if none runs. */
    stop,
  };
}
