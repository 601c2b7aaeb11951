// The prior of a decision: what its requirements speak for before anything is measured.
import { h, icon } from "./dom.js";
import { strings } from "./strings.js";

/** What requirements speak for, with the reasons. */
export function priorOf(prior) {
  return h(
    "section",
    { class: "notice", "aria-label": strings.prior },
    h("p", {}, icon("info"), " ", h("strong", {}, strings.priorWays[prior.way])),
    h(
      "ul",
      {},
      prior.rows.map((row) =>
        h(
          "li",
          {},
          `${row.reason} `,
          h("span", { class: "muted small" }, row.speaks_for ? strings.speaksFor[row.speaks_for] : strings.speaksForNothing),
        ),
      ),
    ),
    h("p", { class: "muted small" }, strings.priorMore),
  );
}
