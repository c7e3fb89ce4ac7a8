"use strict";
// Findings by level and kind.

const FINDINGS_AT_FIRST = 100;

function drawFindings(report) {
  const chips = document.getElementById("findings-kinds");
  const place = document.getElementById("findings-table");
  const kindOf = ({ id }) => id.split("/")[0];
  const kinds = new Map();
  report.findings.map(kindOf).forEach((kind) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1));
  let chosen = "";
  const draw = () => {
    const found = report.findings.filter((one) => !chosen || kindOf(one) === chosen);
    for (const chip of chips.children) chip.setAttribute("aria-pressed", String(chip.dataset.kind === chosen));
    place.replaceChildren(found.length
      ? listed(found, FINDINGS_AT_FIRST, "findings", findingsTable)
      : make("p", { class: "muted" }, "None."));
    if (report.findings_left_out) place.append(make("p", { class: "remark" },
      `${counted(report.findings_left_out, "more note")} left out to keep this page small: `, make("code", {}, "capa migrate check --notes"), " shows all."));
  };
  const choose = (kind) => () => { chosen = chosen === kind ? "" : kind; draw(); };
  if (kinds.size > 1) {
    chips.append(...[...kinds].map(([kind, count]) => make("button", { type: "button", "data-kind": kind, onclick: choose(kind) },
      `${kind} `, make("span", { class: "muted" }, number(count)))));
  }
  draw();
}

function findingsTable(findings) {
  return table("Findings", ["Level", "Kind", "Place", "Finding and next step"], findings.map((one) => make("tr", {},
    cell(badge(one.level, one.level)),
    cell(one.id, "muted"),
    cell(make("code", {}, one.line ? `${one.path}:${one.line}` : one.path), "place"),
    cell([sentence(one.message), make("p", { class: "reason" }, sentence(one.next_step))]))));
}
