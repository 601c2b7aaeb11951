// The machine as administrators see it: what takes how much disk, and who waits for an answer.
import * as api from "./api.js";
import { h } from "./dom.js";
import { strings } from "./strings.js";

/** Make the section; load() fills it. */
export function machineSection({ onProblem }) {
  const body = h("div", { class: "machine" });
  const again = h("button", { type: "button", onclick: load }, strings.refresh);
  const element = h(
    "section",
    { "aria-labelledby": "people-machine" },
    h("div", { class: "row spread" }, h("h2", { id: "people-machine" }, strings.machine), again),
    body,
  );

  async function load() {
    try {
      const { storage, queue } = await api.get("/api/machine");
      body.replaceChildren(
        h(
          "dl",
          { class: "facts" },
          Object.entries(storage).map(([part, bytes]) =>
            h("div", {}, h("dt", {}, strings.storageParts[part]), h("dd", {}, strings.size(bytes))),
          ),
        ),
        h("h3", {}, strings.queueTitle),
        queue.length ? table(queue) : h("p", { class: "muted" }, strings.queueEmpty),
      );
    } catch (error) {
      onProblem(error);
    }
  }

  return { element, load };
}

function table(queue) {
  return h(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": strings.queueTitle },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, strings.queueHead.map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        queue.map(({ who, running, seconds }) =>
          h("tr", {}, h("td", {}, who), h("td", {}, strings.queueStates[running]), h("td", {}, strings.ago(seconds))),
        ),
      ),
    ),
  );
}
