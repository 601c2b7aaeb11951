// Who may do what with a collection: a dialog for whoever manages it.
import * as api from "./api.js";
import { h, icon } from "./dom.js";
import { strings } from "./strings.js";

const LEVELS = ["read", "write", "manage"];

/** Show and change the rights on a collection; resolves when the dialog is closed. */
export async function shareCollection(collection, onProblem) {
  const path = `/api/collections/${encodeURIComponent(collection)}/grants`;
  const list = h("div", { class: "table-scroll" });
  const who = h("input", { type: "text", required: true, maxlength: "64", pattern: "[a-z0-9][a-z0-9._\\-]*" });
  const kind = choice(["user", "group"], strings.subjects);
  const level = choice(LEVELS, strings.levels);

  async function change(body) {
    try {
      await api.put(path, body);
      await fill();
    } catch (error) {
      onProblem(error);
    }
  }

  async function fill() {
    const { grants } = await api.get(path);
    if (!grants.length) {
      list.replaceChildren(h("p", { class: "small" }, strings.sharedWithNobody));
      return;
    }
    const head = [strings.who, strings.right, strings.onlyDocument, ""].map((name) => h("th", { scope: "col" }, name));
    list.replaceChildren(
      h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...grants.map((grant) => row(grant, change)))),
    );
  }

  await fill();
  const form = h(
    "form",
    {
      class: "row wrap",
      onsubmit: (event) => {
        event.preventDefault();
        change({ [kind.value]: who.value, level: level.value });
        who.value = "";
      },
    },
    h("label", { class: "field" }, strings.subject, kind),
    h("label", { class: "field" }, strings.name, who),
    h("label", { class: "field" }, strings.right, level),
    h("button", { class: "primary" }, strings.give),
  );
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      {
        class: "wide",
        "aria-labelledby": "sharing-title",
        onclose: () => {
          dialog.remove();
          resolve();
        },
      },
      h("h2", { id: "sharing-title" }, strings.sharingOf(collection)),
      list,
      form,
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => dialog.close() }, strings.close)),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

function row(grant, change) {
  const to = grant.user ? { user: grant.user } : { group: grant.group };
  const name = grant.user ?? strings.groupNamed(grant.group);
  const level = choice(LEVELS, strings.levels);
  level.value = grant.level;
  level.setAttribute("aria-label", strings.rightOf(name));
  level.addEventListener("change", () => change({ ...to, source: grant.source, level: level.value }));
  const take = () => change({ ...to, source: grant.source, level: "none" });
  return h(
    "tr",
    {},
    h("td", {}, name),
    h("td", {}, level),
    h("td", {}, grant.source),
    h(
      "td",
      {},
      h(
        "button",
        { type: "button", class: "quiet icon", "aria-label": strings.takeRightOf(name), onclick: take },
        icon("trash"),
      ),
    ),
  );
}

export function choice(values, names) {
  return h("select", {}, ...values.map((value) => h("option", { value }, names[value])));
}
