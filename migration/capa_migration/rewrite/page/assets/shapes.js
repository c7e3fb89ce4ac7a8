"use strict";
// The shapes that pass the filter, each with its places.

const SHAPES_AT_FIRST = 60;

function drawShapes(report) {
  const place = document.getElementById("shapes-table");
  if (!report.shapes.length) {
    for (const id of ["filter", "count"]) document.getElementById(id).hidden = true;
    place.append(nothing("shapes", "No SDK is imported, called or used."));
    return;
  }
  fillFilter(report);
  const draw = (state) => {
    showFilter(state);
    const found = matching(report.shapes, state);
    showCount(report, found);
    place.replaceChildren(found.length
      ? listed(found, SHAPES_AT_FIRST, "shapes", (some) => shapesTable(some, report))
      : make("p", { class: "muted empty" }, "No shape matches. Clear the filter to see all."));
  };
  view.listeners.push(draw);
  draw(view.state);
}

function fillFilter(report) {
  const sums = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, 0]));
  report.shapes.forEach((shape) => { sums[kindOf(shape)] += shape.count; });
  document.getElementById("sdk").append(...report.sdks.map(({ sdk }) => make("option", { value: sdk }, sdk)));
  document.getElementById("support").append(...Object.entries(KIND_NAMES).map(([kind, name]) =>
    make("button", { type: "button", "data-kind": kind, onclick: () => toggleKind(kind) },
      make("i", { class: `key fill-${kind}`, "aria-hidden": "true" }), `${name} `, make("span", { class: "muted" }, number(sums[kind])))));
  const form = document.getElementById("filter");
  form.addEventListener("input", () => view.change({ q: form.q.value, sdk: form.sdk.value }));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    view.change({ q: "", sdk: "", support: [] });
    form.q.focus(); // the reset button, now disabled, had the focus
  });
}

function toggleKind(kind) {
  const chosen = view.state.support;
  view.change({ support: chosen.includes(kind) ? chosen.filter((one) => one !== kind) : [...chosen, kind] });
}

function showFilter({ q, sdk, support }) {
  const form = document.getElementById("filter");
  if (form.q.value !== q) form.q.value = q;
  form.sdk.value = sdk;
  for (const button of document.querySelectorAll("#support button")) {
    button.setAttribute("aria-pressed", String(support.includes(button.dataset.kind)));
  }
  document.getElementById("clear").disabled = !(q || sdk || support.length);
}

// A text that matches only paths narrows a shape down to those places.
function matching(shapes, { q, sdk, support }) {
  const text = q.trim().toLowerCase();
  return shapes
    .filter((shape) => (!sdk || shape.sdk === sdk) && (!support.length || support.includes(kindOf(shape))))
    .map((shape) => narrowed(shape, text))
    .filter((shape) => shape.count);
}

function narrowed(shape, text) {
  if (!text || `${shape.name}\n${shape.reason}`.toLowerCase().includes(text)) return shape;
  const places = shape.places.filter(([path]) => path.toLowerCase().includes(text));
  return { ...shape, places, count: places.length };
}

function showCount(report, found) {
  const sites = found.reduce((sum, shape) => sum + shape.count, 0);
  document.getElementById("count").textContent =
    `${counted(sites, "call site")} in ${counted(found.length, "shape")}, of ${number(report.numbers.sites)}`
    + (report.shapes_left_out ? `; ${counted(report.shapes_left_out, "rare shape")} left out: capa scan --all lists all` : "");
}

function shapesTable(shapes, report) {
  return table("Shapes", ["Shape", "SDK", "Served", ["Call sites", "num"]],
    byReason(shapes).flatMap((group) => group.length > 1
      ? [why(group, report), ...group.map((shape) => shapeRow(shape, null, report, "held"))]
      : group.map((shape) => shapeRow(shape, reason(shape, report), report))));
}

// Shapes with one reason are together, at the place of the first: their reason is written once.
function byReason(shapes) {
  const groups = new Map();
  for (const shape of shapes) {
    const key = shape.reason ? JSON.stringify([shape.sdk, kindOf(shape), shape.reason]) : shape;
    groups.set(key, [...(groups.get(key) ?? []), shape]);
  }
  return [...groups.values()];
}

function why(group, report) {
  return make("tr", { class: "why" },
    make("th", { scope: "col", colspan: "4" }, reason(group[0], report, `${counted(group.length, "shape")} of ${group[0].sdk}: `)));
}

function shapeRow(shape, told, report, kindOfRow) {
  const kind = kindOf(shape);
  const more = shape.moved && shape.support !== "full" ? ` ${kind === "moved" ? shape.support : "moved"}` : null;
  return make("tr", { class: kindOfRow },
    cell([places(shape, report), told]),
    cell(shape.sdk, "muted"),
    cell([badge(KIND_NAMES[kind], kind), more]),
    cell(number(shape.count), "num"));
}

function places(shape, report) {
  const list = make("ul", { class: "places" });
  const fill = () => {
    if (list.childElementCount) return;
    list.append(...shape.places.map(([path, line]) => make("li", {}, fileLink(report, path, `${path}:${line}`))));
    const more = shape.count - shape.places.length;
    if (more > 0) list.append(make("li", { class: "muted" }, `and ${number(more)} more: capa scan --all lists them`));
  };
  return make("details", { ontoggle: fill }, make("summary", {}, make("code", {}, shape.name)), list);
}

function reason(shape, report, before = "") {
  if (!shape.reason) return null;
  return make("p", { class: "reason" }, before, sentence(shape.reason),
    shape.see ? [" ", explained(shape.see, report)] : null);
}
