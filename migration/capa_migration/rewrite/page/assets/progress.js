"use strict";
// Progress from run to run, as a drawing and as a table.

const BOX = { width: 640, height: 220, left: 56, right: 8, top: 10, bottom: 24 };
const BANDS = ["moved", "movable", "staying"];
const BAND_NAMES = { moved: "Moved", movable: "Movable", staying: "Not served" };
const RUNS_AT_FIRST = 8;

function drawProgress(report) {
  const place = document.getElementById("progress-view");
  const runs = report.history.map((run) => ({ ...run, at: new Date(run.at) }));
  if (!runs.length) {
    place.append(nothing("progress", "No run has been recorded. A scan of a whole, writable tree that uses an SDK adds its numbers to ",
      make("code", {}, ".capa-migrate/history"), "."));
    return;
  }
  place.append(progressFigure(runs), make("div", { class: "scroll", "aria-label": "Progress by run" },
    listed(runs.toReversed(), RUNS_AT_FIRST, "runs", progressTable)));
}

function progressTable(runs) {
  return table("Progress by run", ["Run", "By", ...BANDS.map((band) => [BAND_NAMES[band], "num"])], runs.map((run) => make("tr", {},
    cell(moment(run.at)), cell(run.by, "muted"), BANDS.map((band) => cell(number(run[band]), "num")))));
}

function progressFigure(runs) {
  const [first, last] = [runs[0], runs.at(-1)];
  const caption = runs.length > 1
    ? `From ${spans(runs)(first.at)} to ${spans(runs)(last.at)}: ${number(first.moved)} to ${number(last.moved)} of ${number(height(last))} call sites moved.`
    : `${number(last.moved)} of ${number(height(last))} call sites have moved. After a second run the page draws a chart.`;
  return make("figure", {},
    runs.length > 1 ? progressDrawing(runs, caption) : bar({ moved: last.moved, full: last.movable, partial: 0, none: last.staying }, height(last), "tall"),
    make("figcaption", {}, caption, make("ul", { class: "legend" }, BANDS.map((band) =>
      make("li", {}, make("i", { class: `key band-${band}`, "aria-hidden": "true" }), BAND_NAMES[band])))));
}

// Runs of one day are labelled with the time, others with the date.
function spans(runs) {
  return day(runs[0].at) === day(runs.at(-1).at) ? moment : day;
}

function height(run) {
  return run.moved + run.movable + run.staying;
}

function progressDrawing(runs, caption) {
  const top = ceiling(Math.max(...runs.map(height)));
  const [begin, end] = [Number(runs[0].at), Number(runs.at(-1).at)];
  const x = (run) => BOX.left + ((Number(run.at) - begin) / Math.max(end - begin, 1)) * (BOX.width - BOX.left - BOX.right);
  const y = (value) => BOX.height - BOX.bottom - (value / top) * (BOX.height - BOX.top - BOX.bottom);
  return drawn("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "img", "aria-label": caption },
    BANDS.map((band, at) => drawn("polygon", { class: `band-${band}`, points: outline(runs, BANDS.slice(0, at), band, x, y) })),
    [0, top / 2, top].map((value) => gridLine(value, y)),
    drawn("text", { x: BOX.left, y: BOX.height - 6 }, spans(runs)(runs[0].at)),
    drawn("text", { x: BOX.width - BOX.right, y: BOX.height - 6, "text-anchor": "end" }, spans(runs)(runs.at(-1).at)));
}

function outline(runs, below, band, x, y) {
  const floor = (run) => below.reduce((sum, name) => sum + run[name], 0);
  const upper = runs.map((run) => `${x(run).toFixed(1)},${y(floor(run) + run[band]).toFixed(1)}`);
  const lower = runs.toReversed().map((run) => `${x(run).toFixed(1)},${y(floor(run)).toFixed(1)}`);
  return [...upper, ...lower].join(" ");
}

function gridLine(value, y) {
  return drawn("g", { class: "grid" },
    drawn("line", { x1: BOX.left, x2: BOX.width - BOX.right, y1: y(value), y2: y(value) }),
    drawn("text", { x: BOX.left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value)));
}

// The next round number whose half is a whole number.
function ceiling(value) {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(value, 1))) - 1) * 2;
  return Math.max(Math.ceil(value / unit) * unit, 2);
}
