// The frame: is the server there, who is signed in, which page does the address ask for.
import * as api from "./api.js";
import { complain, connection, h, icon } from "./dom.js";
import { eventStream } from "./events.js";
import { placeOf } from "./places.js";
import { signInForm } from "./sign_in.js";
import { sourcePanel } from "./source.js";
import { strings } from "./strings.js";
import { themeButton } from "./theme.js";

const RETRY_MS = 1000;
const PAGES = {
  ask: async (given) => (await import("./ask.js")).askPage(given),
  documents: async (given) => (await import("./documents.js")).documentsPage(given),
  compare: async (given) => (await import("./compare.js")).comparePage(given),
  adapters: async (given) => (await import("./adapters.js")).adaptersPage(given),
  decide: async (given) => (await import("./decide.js")).decidePage(given),
  evaluate: async (given) => (await import("./evaluate.js")).evaluatePage(given),
  people: async (given) => (await import("./people.js")).peoplePage(given),
};

const main = document.getElementById("main");
const tabs = document.querySelector(".tabs");
const signOut = document.querySelector(".sign-out");
const events = eventStream({ onState: (wait) => connection(wait, () => events.retry()), onProblem });
let pages = null;
let open = null; // the page that is shown
let about = null;
let last = { name: "ask", argument: "" };
let shownAt = ""; // the address that the page on the screen was last told of
let quotes = { places: [], at: -1 };
let opener = null;

const panel = sourcePanel(document.querySelector("aside"), {
  close: closeSource,
  go: openSource,
});

function middle(title, text, { pulse = false, more = null } = {}) {
  tabs.hidden = signOut.hidden = true;
  panel.hide();
  main.replaceChildren(
    h(
      "div",
      { class: "middle", role: "alert" },
      pulse && h("div", { class: "pulse" }),
      h("h1", {}, title),
      h("p", {}, text),
      more,
    ),
  );
}

/** Begin, or begin again after the server was away. */
async function start() {
  const state = await api.state();
  if (state !== "ready") {
    if (state === "loading") middle(strings.loading, strings.loadingMore, { pulse: true });
    else middle(strings.disconnected, strings.disconnectedMore, { pulse: true });
    setTimeout(start, RETRY_MS);
    return;
  }
  try {
    about = await api.get("/api/about");
  } catch (error) {
    onProblem(error);
    return;
  }
  const refused = new URLSearchParams(location.search).get("sign-in");
  if (refused) history.replaceState(null, "", location.pathname + location.hash);
  pages ??= {};
  tabs.querySelector("[data-page=decide]").hidden = !about.is_admin;
  tabs.hidden = signOut.hidden = false;
  main.replaceChildren();
  route();
}

function askToSignIn(title, text) {
  middle(title, text, {
    more: signInForm(() => {
      pages = null;
      start();
    }),
  });
}

/** Ask again what the server has; pages show it. */
async function refresh() {
  about = await api.get("/api/about");
  for (const page of Object.values(pages)) page.update(about);
}

function onProblem(error) {
  if (error.code === "signed_out") {
    const refused = new URLSearchParams(location.search).get("sign-in");
    askToSignIn(strings.signedOut, refused ? strings.signInRefused : strings.signedOutUsers);
  } else if (api.PAGE_STATES.has(error.code)) {
    setTimeout(start, RETRY_MS);
  } else {
    complain(error.message || strings.failed, strings.dismiss);
  }
}

/** Return a page, made when it is first shown. */
async function pageOf(name) {
  const given = { about, events, openSource, onProblem, onChange: refresh, moved: (id) => moved(name, id) };
  return (pages[name] ??= await PAGES[name](given));
}

/** What a page shows is another one, or has got its number. */
function moved(name, id) {
  const place = { name, argument: id === null ? "" : String(id) };
  tabs.querySelector(`[data-page=${name}]`).href = addressOf(place);
  if (last.name !== name) return; // somebody has gone on to another page
  last = place;
  if (id === null) {
    location.hash = addressOf(last);
    return;
  }
  shownAt = addressOf(last);
  history.replaceState(null, "", shownAt);
}

const addressOf = ({ name, argument }) => (argument ? `#/${name}/${argument}` : `#/${name}`);

async function route() {
  if (!pages) return;
  const [path, query] = location.hash.slice(1).split("?");
  const [, name, ...rest] = path.split("/");
  const document_ = name === "document" && rest.length === 2;
  if (!document_) last = { name: Object.hasOwn(PAGES, name) ? name : "ask", argument: rest[0] ?? "" };
  const here = location.hash;
  const page = await entered(last.name);
  if (!page || location.hash !== here) return; // somebody went on while the page was loaded
  if (open !== page) open?.left?.();
  open = page;
  const isNew = !main.contains(page.element);
  if (isNew) main.replaceChildren(page.element);
  for (const link of tabs.children) {
    if (link.dataset.page === last.name) link.href = addressOf(last);
    if (link.dataset.page === last.name) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else link.removeAttribute("aria-current");
  }
  document.title = `${page.title} – ${strings.app}`;
  const aside = document.querySelector("aside");
  if (document_) {
    if (aside.hidden) opener = main.contains(document.activeElement) ? document.activeElement : main;
    showSource(rest, new URLSearchParams(query));
    return;
  }
  const wasRead = !aside.hidden && (aside.contains(document.activeElement) || document.activeElement === document.body);
  panel.hide();
  mark(null);
  if (isNew || shownAt !== addressOf(last)) {
    shownAt = addressOf(last);
    page.shown(last.argument);
  } else if (wasRead) (opener?.isConnected ? opener : main).focus();
}

/** Return a page that is about to be shown, and tell all pages what has changed meanwhile; null if that cannot be. */
async function entered(name) {
  try {
    if (open && open !== pages[name]) await refresh();
    return await pageOf(name);
  } catch (error) {
    if (error instanceof api.ApiError) onProblem(error);
    else lost();
    return null;
  }
}

/** A part of the page is not there: the server is away, or was updated, and then the page has to be loaded anew. */
async function lost() {
  const [before] = performance.getEntriesByType("navigation");
  if ((await api.state()) !== "ready") start();
  else if (before?.type === "reload") complain(strings.failed, strings.dismiss);
  else location.reload();
}

async function showSource([collection, row], query) {
  const start = Number(query.get("start") ?? 0);
  const end = Number(query.get("end") ?? 0);
  const here = location.hash;
  const at = quotes.places.findIndex((place) => placeOf(place) === here);
  try {
    await panel.show({ collection, row, start, end }, at < 0 ? [] : quotes.places, at);
    mark(here);
  } catch (error) {
    onProblem(error);
    closeSource();
  }
}

function mark(place) {
  for (const control of main.querySelectorAll("[data-place]"))
    control.setAttribute("aria-expanded", String(control.dataset.place === place));
}

/** Open a place of an answer beside it. The first adds a step to the browser's history: Back closes the panel. */
function openSource(places, at) {
  quotes = { places, at };
  const address = placeOf(places[at]);
  if (document.querySelector("aside").hidden) {
    location.hash = address;
  } else {
    history.replaceState(null, "", address);
    route();
  }
}

function closeSource() {
  location.hash = addressOf(last);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (!document.querySelector("aside").hidden) closeSource();
  else if (open && open === pages?.ask && !event.target.closest("input, select")) open.stop();
});

signOut.addEventListener("click", async () => {
  try {
    await api.post("/sign-out");
  } catch (error) {
    onProblem(error);
    return;
  }
  pages = null;
  last = { name: "ask", argument: "" };
  askToSignIn(strings.signedOutDone, strings.signedOutUsers);
});

// The address names the page, so the link that skips the header must not change it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

signOut.before(themeButton());
signOut.prepend(icon("leave"));
addEventListener("hashchange", route);
// A file dropped beside the drop zone must not replace the page.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => event.preventDefault());

middle(strings.loading, strings.loadingMore, { pulse: true });
start();
