"use strict";
// Sections of the documentation about the reasons; the list of shapes links to them.

function drawExplanations(report) {
  const section = document.getElementById("explanations");
  section.hidden = !report.explanations.length;
  document.getElementById("explanations-link").hidden = section.hidden;
  document.getElementById("explanations-list").append(...report.explanations.map((one) =>
    make("article", { id: one.see, tabindex: "-1" }, make("h3", {}, one.title), one.blocks.map(block))));
}

function block({ kind, text, items }) {
  if (kind === "code") return make("pre", {}, text);
  if (kind === "list") return make("ul", {}, items.map((item) => make("li", {}, marked(item))));
  return make("p", {}, marked(text));
}

// A link to the explanation, or its path in the documentation if the page does not hold it.
function explained(see, report) {
  const found = report.explanations.find((one) => one.see === see);
  return found ? make("a", { href: `#${see}` }, found.title) : make("cite", {}, see);
}
