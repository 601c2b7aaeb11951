// The questions of an evaluation, failures first: what was expected, what was found, and what was answered.
import * as api from "./api.js";
import { h, icon } from "./dom.js";
import { placeOf, within } from "./places.js";
import { strings } from "./strings.js";

const PAGE = 50;

/** Make the list; load() fills it. */
export function caseList(run, { collection, openSource, onProblem }) {
  const only = h("input", { type: "checkbox", checked: true, onchange: load });
  const list = h("ol", { class: "plain cases" });
  const more = h("button", { type: "button", hidden: true, onclick: next }, strings.showMore);
  const none = h("p", { class: "muted", hidden: true });
  const element = h(
    "section",
    { class: "cases-of", hidden: true, "aria-labelledby": "cases-title" },
    h("div", { class: "row spread" }, h("h3", { id: "cases-title" }, strings.cases), h("label", { class: "switch" }, only, strings.onlyFailures)),
    none,
    list,
    more,
  );

  async function page(skip) {
    const found = await api.get(`/api/evaluations/${run}/cases`, { failed: only.checked, skip, limit: PAGE });
    more.hidden = !found.more;
    return found.cases.map((one) => caseOf(one, collection, openSource));
  }

  async function load() {
    try {
      list.replaceChildren(...(await page(0)));
      none.textContent = only.checked ? strings.noFailures : strings.noCases;
      none.hidden = list.children.length > 0;
      element.hidden = false;
    } catch (error) {
      onProblem(error);
    }
  }

  async function next() {
    try {
      list.append(...(await page(list.children.length)));
    } catch (error) {
      onProblem(error);
    }
  }

  return { element, load };
}

function caseOf(one, collection, openSource) {
  const places = one.found.map((place) => ({ ...place, collection }));
  return h(
    "li",
    { class: `case ${one.failed ? "failed" : ""}` },
    h(
      "div",
      { class: "row spread" },
      h("h4", { dir: "auto" }, one.question),
      h(
        "span",
        { class: "row" },
        one.causes.map((cause) => h("span", { class: "badge warn" }, strings.causes[cause])),
        one.rank !== null && h("span", { class: "badge ok" }, icon("check"), strings.foundAt(one.rank)),
      ),
    ),
    h(
      "dl",
      { class: "case-facts" },
      one.evidence.length > 0 &&
        pair(strings.expectedEvidence, h("ul", { class: "plain" }, one.evidence.map((place) => h("li", { dir: "auto" }, strings.evidence(place))))),
      places.length > 0 && pair(strings.foundInstead, h("ol", { class: "found" }, places.map((place, index) => h("li", {}, link(places, index, openSource))))),
      one.answers.length > 0 && pair(strings.expectedAnswer, h("span", { dir: "auto" }, one.answers.join(" · "))),
      one.answer !== null && pair(strings.givenAnswer, h("span", { dir: "auto", class: "given" }, one.answer || strings.nothingSaid)),
    ),
  );
}

const pair = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

function link(places, index, openSource) {
  const place = places[index];
  return h(
    "button",
    { type: "button", class: "quiet place", "data-place": placeOf(place), "aria-expanded": "false", onclick: () => openSource(places, index) },
    strings.placeIn(place.title, place.page, within(place)),
  );
}
