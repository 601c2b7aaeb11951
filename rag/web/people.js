// Users, groups, API keys and the access log, for administrators; one's own keys and password for everybody.
import * as api from "./api.js";
import { announce, copyButton, h } from "./dom.js";
import { confirmed } from "./dialogs.js";
import { machineSection } from "./machine.js";
import { choice } from "./sharing.js";
import { strings } from "./strings.js";

const MOST_ENTRIES = 200;
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

export function peoplePage({ about, onProblem }) {
  const users = h("section", { "aria-labelledby": "people-users" });
  const keys = h("section", { "aria-labelledby": "people-keys" });
  const log = h("section", { "aria-labelledby": "people-log" });
  const machine = machineSection({ onProblem });
  const isAdmin = about.is_admin;
  const title = h("h1", { tabindex: "-1" }, strings.people);
  const element = h("div", { class: "people column" }, title, users, keys, isAdmin && machine.element, log);

  async function attempt(work) {
    try {
      await work();
    } catch (error) {
      onProblem(error);
    }
  }

  async function showUsers() {
    const found = await api.get("/api/users");
    users.replaceChildren(
      h("h2", { id: "people-users" }, strings.users),
      found.users.length
        ? table([strings.name, strings.groups, strings.state, ""], found.users.map(userRow))
        : h("p", {}, strings.noUsers),
      newUser(),
      h("h3", {}, strings.groups),
      ...Object.entries(found.groups).map(([name, members]) => group(name, members)),
      newGroup(),
    );
  }

  const userRow = (user) => [
    user.name,
    user.groups.join(", "),
    [user.is_admin && strings.administrator, user.is_suspended && strings.suspended].filter(Boolean).join(", "),
    h(
      "div",
      { class: "row" },
      action(user.is_suspended ? strings.resume : strings.suspend, user.name, () =>
        api.patch(`/api/users/${user.name}`, { is_suspended: !user.is_suspended }),
      ),
      action(user.is_admin ? strings.makeUser : strings.makeAdministrator, user.name, () =>
        api.patch(`/api/users/${user.name}`, { is_admin: !user.is_admin }),
      ),
      action(strings.remove, user.name, async () => {
        if (await confirmed(strings.removeUser(user.name), strings.remove, strings.cancel))
          await api.remove(`/api/users/${user.name}`);
      }),
    ),
  ];

  const action = (label, name, work) =>
    h(
      "button",
      {
        type: "button",
        "aria-label": `${label}: ${name}`,
        onclick: () => attempt(async () => (await work(), await showUsers())),
      },
      label,
    );

  function newUser() {
    const name = field("text", { pattern: "[a-z0-9][a-z0-9._\\-]*", maxlength: "64", autocomplete: "off" });
    const password = field("password", { minlength: "10", maxlength: "1024", autocomplete: "new-password" });
    const isAdministrator = h("input", { type: "checkbox" });
    const make = async () => {
      await api.post("/api/users", { name: name.value, password: password.value, is_admin: isAdministrator.checked });
      announce(strings.userMade(name.value));
      await showUsers();
    };
    return form(
      make,
      h("label", { class: "field" }, strings.userName, name),
      h("label", { class: "field" }, strings.password, password),
      h("label", { class: "check" }, isAdministrator, strings.administrator),
      h("button", { class: "primary" }, strings.addUser),
    );
  }

  function group(name, members) {
    const box = field("text", { required: false, autocomplete: "off" });
    box.value = members.join(", ");
    const save = async () => {
      const named = box.value.split(/[\s,]+/).filter(Boolean);
      if (named.length) await api.put(`/api/groups/${name}`, { members: named });
      else await api.remove(`/api/groups/${name}`);
      await showUsers();
    };
    return form(
      save,
      h("label", { class: "field" }, strings.membersOf(name), box),
      h("button", {}, strings.save),
    );
  }

  function newGroup() {
    const name = field("text", { pattern: "[a-z0-9][a-z0-9._\\-]*", maxlength: "64", autocomplete: "off" });
    const members = field("text", { autocomplete: "off" });
    const make = async () => {
      await api.put(`/api/groups/${name.value}`, { members: members.value.split(/[\s,]+/).filter(Boolean) });
      await showUsers();
    };
    return form(
      make,
      h("label", { class: "field" }, strings.groupName, name),
      h("label", { class: "field" }, strings.members, members),
      h("button", {}, strings.addGroup),
    );
  }

  async function showKeys(made = null) {
    const found = await api.get("/api/keys");
    const rows = found.keys.map((key) => [
      String(key.id),
      key.user,
      key.label,
      strings.levels[key.level],
      key.collections?.join(", ") ?? strings.allCollections,
      key.expires ? moment.format(key.expires * 1000) : strings.never,
      h(
        "button",
        {
          type: "button",
          "aria-label": `${strings.revoke}: ${key.id}`,
          onclick: () => attempt(async () => (await api.remove(`/api/keys/${key.id}`), await showKeys())),
        },
        strings.revoke,
      ),
    ]);
    const head = ["#", strings.user, strings.label, strings.atMost, strings.collections, strings.expires, ""];
    keys.replaceChildren(
      h("h2", { id: "people-keys" }, strings.apiKeys),
      rows.length ? table(head, rows) : h("p", {}, strings.noKeys),
      ...(made ? [shownOnce(made)] : []),
      newKey(),
    );
  }

  const shownOnce = (key) =>
    h(
      "div",
      { class: "notice", role: "status" },
      h("p", {}, strings.keyShownOnce),
      h("code", {}, key),
      copyButton(strings.copy, strings.copied, () => key),
    );

  function newKey() {
    const user = field("text", { required: isAdmin, maxlength: "64", autocomplete: "off" });
    user.value = about.user === "operator" ? "" : about.user;
    const label = field("text", { required: false, maxlength: "100", autocomplete: "off" });
    const level = choice(["read", "write", "manage"], strings.levels);
    const days = field("number", { required: false, min: "1", max: "3650" });
    const make = async () => {
      const body = { label: label.value, level: level.value, days: days.value ? Number(days.value) : null };
      const made = await api.post("/api/keys", isAdmin ? { ...body, user: user.value } : body);
      await showKeys(made.key);
    };
    return form(
      make,
      isAdmin && h("label", { class: "field" }, strings.user, user),
      h("label", { class: "field" }, strings.label, label),
      h("label", { class: "field" }, strings.atMost, level),
      h("label", { class: "field" }, strings.days, days),
      h("button", { class: "primary" }, strings.makeKey),
    );
  }

  async function showLog(parameters = {}) {
    const { accesses } = await api.get("/api/accesses", { ...parameters, limit: MOST_ENTRIES });
    const who = field("search", { required: false });
    const document_ = field("search", { required: false });
    who.value = parameters.who ?? "";
    document_.value = parameters.document ?? "";
    const search = () => showLog({ who: who.value, document: document_.value });
    const rows = accesses.map((one) => [
      moment.format(one.at * 1000),
      one.who,
      one.action,
      one.collection,
      one.documents.join(", "),
      one.text,
    ]);
    log.replaceChildren(
      h("h2", { id: "people-log" }, strings.accessLog),
      form(
        search,
        h("label", { class: "field" }, strings.who, who),
        h("label", { class: "field" }, strings.document, document_),
        h("button", {}, strings.find),
      ),
      rows.length
        ? table([strings.time, strings.who, strings.what, strings.collection, strings.documents, strings.question], rows)
        : h("p", {}, strings.noAccesses),
    );
  }

  const form = (work, ...parts) =>
    h(
      "form",
      {
        class: "row wrap",
        onsubmit: (event) => {
          event.preventDefault();
          attempt(work);
        },
      },
      ...parts,
    );

  return {
    element,
    title: strings.people,
    update: () => {},
    shown: () =>
      attempt(async () => {
        await showKeys();
        if (isAdmin) await Promise.all([showUsers(), machine.load(), showLog()]);
      }),
  };
}

const field = (type, attributes) => h("input", { type, required: true, ...attributes });

function table(head, rows) {
  return h(
    "div",
    { class: "table-scroll", tabindex: "0" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells.map((cell) => h("td", {}, cell))))),
    ),
  );
}
