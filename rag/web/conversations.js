// The list of conversations: found, opened, renamed, deleted.
import * as api from "./api.js";
import { askText, confirmed } from "./dialogs.js";
import { announce, h, icon } from "./dom.js";
import { strings } from "./strings.js";

const PAGE = 50;

/**
 * Make the list; onGone(id) is called when a conversation was deleted.
 *
 * Where there is no room for it beside the conversation, `toggle` is the button that opens it above it.
 */
export function conversationList({ onGone, onProblem }) {
  const search = h("input", {
    type: "search",
    placeholder: strings.searchConversations,
    "aria-label": strings.searchConversations,
    oninput: later,
  });
  const list = h("ul", { class: "plain" });
  const more = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => load(true) }, strings.showMore);
  const none = h("p", { class: "muted small", hidden: true });
  const element = h(
    "nav",
    { class: "conversations", id: "conversations", "aria-label": strings.conversations, onclick: chosen, onkeydown: leave },
    h("a", { class: "button new", href: "#/ask" }, icon("plus"), strings.newConversation),
    search,
    list,
    none,
    more,
  );
  const toggle = h(
    "button",
    {
      type: "button",
      class: "quiet icon history",
      "aria-label": strings.conversations,
      "aria-controls": "conversations",
      "aria-expanded": "false",
      onclick: () => open(!isOpen()),
    },
    icon("list"),
  );
  let current = null;
  let timer = 0;
  let loads = 0;
  let shown = 0;

  async function load(append = false) {
    const own = (loads += 1);
    try {
      const skip = append ? shown : 0;
      const found = await api.get("/api/conversations", { contains: search.value.trim(), limit: PAGE, skip });
      if (own !== loads) return;
      if (!append) list.replaceChildren();
      shown = skip + found.conversations.length;
      list.append(...found.conversations.map(row));
      more.hidden = !found.more;
      none.hidden = shown > 0;
      none.textContent = search.value ? strings.noConversation(search.value) : strings.noConversations;
      mark();
    } catch (error) {
      onProblem(error);
    }
  }

  function row(found) {
    const title = found.title || strings.untitled;
    return h(
      "li",
      { "data-id": String(found.id) },
      h("a", { href: `#/ask/${found.id}`, dir: "auto", title: strings.lastAsked(found.changed) }, title),
      h(
        "span",
        { class: "tools" },
        tool("edit", strings.rename(title), () => rename(found)),
        tool("trash", strings.deleteConversation(title), () => remove(found, title)),
      ),
    );
  }

  function tool(name, label, onclick) {
    return h("button", { type: "button", class: "quiet icon", "aria-label": label, title: label, onclick }, icon(name));
  }

  async function rename(found) {
    const title = await askText({ title: strings.renameTitle, label: strings.title, value: found.title });
    if (title === null) return;
    await attempt(() => api.patch(`/api/conversations/${found.id}`, { title }));
  }

  async function remove(found, title) {
    if (!(await confirmed(strings.deleteConversationSure(title), strings.delete, strings.cancel))) return;
    await attempt(() => api.remove(`/api/conversations/${found.id}`));
    announce(strings.deleted(title));
    onGone(found.id);
    search.focus();
  }

  async function attempt(change) {
    try {
      await change();
    } catch (error) {
      onProblem(error);
    }
    await load();
  }

  const isOpen = () => element.classList.contains("open");

  function open(is) {
    element.classList.toggle("open", is);
    toggle.setAttribute("aria-expanded", String(is));
    if (is) search.focus();
  }

  function chosen(event) {
    if (event.target.closest("a")) open(false);
  }

  function leave(event) {
    if (event.key !== "Escape" || !isOpen()) return;
    event.stopPropagation();
    open(false);
    toggle.focus();
  }

  document.addEventListener("pointerdown", ({ target }) => {
    if (isOpen() && !element.contains(target) && !toggle.contains(target) && !target.closest("dialog")) open(false);
  });

  function later() {
    clearTimeout(timer);
    timer = setTimeout(load, 200);
  }

  function mark() {
    for (const entry of list.children) {
      const link = entry.querySelector("a");
      if (Number(entry.dataset.id) === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  return {
    element,
    toggle,
    load: () => load(),
    /** Mark the one that is shown; null for a new one. */
    show(id) {
      current = id;
      open(false);
      mark();
    },
  };
}
