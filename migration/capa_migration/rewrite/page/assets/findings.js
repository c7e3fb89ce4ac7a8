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
      ? listed(folded(found), FINDINGS_AT_FIRST, "findings", (some) => findingsTable(some, report))
      : nothing("findings", "Nothing was left for you to decide."));
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

// One row for a finding at many places.
function folded(findings) {
  const rows = new Map();
  for (const one of findings) {
    const key = JSON.stringify([one.level, one.id, one.message, one.next_step]);
    if (rows.has(key)) rows.get(key).places.push(one);
    else rows.set(key, { ...one, places: [one] });
  }
  return [...rows.values()];
}

function findingPlaces(places, report) {
  const link = ({ path, line }) => fileLink(report, path, line ? `${path}:${line}` : path);
  if (places.length === 1) return link(places[0]);
  return make("details", {}, make("summary", {}, counted(places.length, "place")),
    make("ul", {}, places.map((one) => make("li", {}, link(one)))));
}

function findingsTable(findings, report) {
  return table("Findings", ["Level", "Kind", "Place", "Finding and next step"], findings.map((one) => make("tr", {},
    cell(badge(one.level, one.level)),
    cell(one.id, "muted"),
    cell(findingPlaces(one.places, report), "place"),
    cell([sentence(one.message), make("p", { class: "reason" }, sentence(one.next_step))]))));
}
