"use strict";
// Overall progress, under the three numbers.

function drawWhole(report) {
  const sums = { moved: 0, full: 0, partial: 0, none: 0 };
  for (const sdk of report.sdks) for (const kind in sums) sums[kind] += sdk[kind];
  if (report.sdks.length) document.getElementById("whole").append(bar(sums, total(sums), "tall"), legend(sums));
  document.getElementById("made").append(
    `${moment(new Date(report.at))} · ${counted(report.seen, "file")} of Python read · capa ${report.version}`);
}

function total(sums) {
  return Object.keys(KINDS).reduce((sum, kind) => sum + sums[kind], 0);
}

// The numbers are also text next to each bar: screen readers skip the bar.
function bar(sums, whole, kind) {
  const parts = Object.keys(KINDS).filter((name) => sums[name]).map((name) => {
    const part = make("i", { class: `fill-${name}` });
    part.style.width = `${(100 * sums[name]) / Math.max(whole, 1)}%`;
    return part;
  });
  return make("div", { class: `bar ${kind ?? ""}`, "aria-hidden": "true" }, parts);
}

function legend(sums) {
  const items = Object.entries(KIND_NAMES).map(([kind, name]) =>
    make("li", {}, make("i", { class: `key fill-${kind}`, "aria-hidden": "true" }), `${name} `, make("b", {}, number(sums[kind]))));
  return make("ul", { class: "legend" }, items);
}
