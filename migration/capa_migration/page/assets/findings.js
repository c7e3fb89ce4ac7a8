"use strict";
// What was seen and left, by level and kind.

const FINDINGS_AT_FIRST = 100;

function drawFindings(report) {
  const chips = document.getElementById("findings-kinds");
  const place = document.getElementById("findings-table");
  const rules = new Map();
  report.findings.forEach(({ rule }) => rules.set(rule, (rules.get(rule) ?? 0) + 1));
  let chosen = "";
  const draw = () => {
    const found = report.findings.filter(({ rule }) => !chosen || rule === chosen);
    for (const chip of chips.children) chip.setAttribute("aria-pressed", String(chip.dataset.rule === chosen));
    place.replaceChildren(found.length
      ? listed(found, FINDINGS_AT_FIRST, "findings", findingsTable)
      : make("p", { class: "muted" }, "None."));
    if (report.findings_left_out) place.append(make("p", { class: "remark" },
      `${counted(report.findings_left_out, "more note")} left out to keep this page small: `, make("code", {}, "capa migrate check --notes"), " shows all."));
  };
  const choose = (rule) => () => { chosen = chosen === rule ? "" : rule; draw(); };
  if (rules.size > 1) {
    chips.append(...[...rules].map(([rule, count]) => make("button", { type: "button", "data-rule": rule, onclick: choose(rule) },
      `${rule} `, make("span", { class: "muted" }, number(count)))));
  }
  draw();
}

function findingsTable(findings) {
  return table("Findings", ["Level", "Kind", "Place", "What, and what next"], findings.map((one) => make("tr", {},
    cell(badge(one.level, one.level)),
    cell(one.rule, "muted"),
    cell(make("code", {}, one.line ? `${one.path}:${one.line}` : one.path), "place"),
    cell([sentence(one.message), make("p", { class: "reason" }, sentence(one.next_step))]))));
}
