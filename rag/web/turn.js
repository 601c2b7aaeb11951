// One turn of a conversation: the question, which can be copied and changed, and its answer.
import { answerView } from "./answer.js";
import { copyButton, h, icon } from "./dom.js";
import { strings } from "./strings.js";

/**
 * Make the view of a turn as the server gives it; { element, on, grown } where `on` takes the turn's events.
 *
 * open(citations, index) shows a citation; ask(question, { plain, replaces, asksFirst }) asks in the turn's place or
 * after it; where later turns would go, it asks first whether they may.
 */
export function turnView(turn, { open, ask }) {
  const usesDocuments = turn.collection !== null;
  const view = answerView({
    usesDocuments,
    open,
    askPlain: () => ask(turn.question, { plain: true }),
    again: () => ask(turn.question, { replaces: turn.id, asksFirst: true }),
  });
  const question = h("h2", { class: "question", dir: "auto", tabindex: "-1" }, turn.question);
  const edit = h(
    "button",
    { type: "button", class: "quiet icon", "aria-label": strings.editQuestion, title: strings.edit, onclick: change },
    icon("edit"),
  );
  const copy = copyButton(strings.copyQuestion, strings.copied, () => turn.question);
  copy.lastElementChild.className = "visually-hidden";
  copy.classList.add("icon");
  const head = h("div", { class: "asked" }, question, h("span", { class: "row tools" }, copy, edit));
  const of = h(
    "p",
    { class: "of muted small" },
    [usesDocuments ? strings.askedOf(turn.collection) : strings.askedPlain, turn.adapter && strings.withAdapter(turn.adapter)]
      .filter(Boolean)
      .join(" · "),
  );
  const end = h("span", { class: "end" });
  const element = h("li", { class: "turn", "data-turn": String(turn.id) }, head, of, view.element, end);

  function change() {
    const box = h("textarea", { rows: "2", maxlength: "20000", "aria-label": strings.editQuestion, dir: "auto" });
    box.value = turn.question;
    const form = h(
      "form",
      {
        class: "editing",
        onsubmit(event) {
          event.preventDefault();
          const text = box.value.trim();
          if (text) ask(text, { replaces: turn.id });
        },
        onkeydown(event) {
          if (event.key === "Escape") {
            event.stopPropagation();
            back();
          }
          if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
          event.preventDefault();
          form.requestSubmit();
        },
      },
      box,
      h("p", { class: "muted small" }, strings.editMore),
      h(
        "div",
        { class: "row" },
        h("button", { class: "primary" }, strings.askAgain),
        h("button", { type: "button", onclick: back }, strings.cancel),
      ),
    );
    head.replaceWith(form);
    box.focus();

    function back() {
      form.replaceWith(head);
      edit.focus();
    }
  }

  return { element, question, end, on: { queued: view.queued, token: view.token, ended: view.ended } };
}
