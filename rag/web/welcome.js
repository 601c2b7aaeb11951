// What stands where no question was asked yet: what answers come from, and what to do first.
import { h, icon } from "./dom.js";
import { strings } from "./strings.js";

/** Return the parts of an empty conversation; tour() begins the tour. */
export function welcome({ of, tour }) {
  const guide = () => h("button", { type: "button", class: "quiet", onclick: tour }, icon("info"), strings.tour);
  const found = of.chosen();
  if (!of.usesDocuments() && of.hasCollections()) return [heading(strings.welcome), h("p", {}, strings.welcomePlain)];
  if (found?.documents) {
    return [heading(strings.welcome), h("p", {}, strings.welcomeMore(found.name, found.documents)), guide()];
  }
  return [
    heading(strings.nothingYet),
    h("p", {}, strings.nothingYetMore),
    h(
      "div",
      { class: "row" },
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
      guide(),
    ),
  ];
}

const heading = (text) => h("h2", { class: "h1" }, text);
