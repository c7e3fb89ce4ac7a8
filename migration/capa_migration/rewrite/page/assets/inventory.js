"use strict";
// Inventory: one row for each SDK; its name sets the filter of the shapes.

function drawInventory(report) {
  const place = document.getElementById("inventory-table");
  const most = Math.max(...report.sdks.map(total), 1);
  const draw = ({ sdk }) => place.replaceChildren(report.sdks.length
    ? inventoryTable(report, most, sdk)
    : nothing("inventory", `No known SDK is used in ${counted(report.seen, "file")} of Python. `
      + "If you miss one, look whether its folder is excluded, or ignored by git."));
  view.listeners.push(draw);
  draw(view.state);
}

function inventoryTable(report, most, chosen) {
  const numbers = ["Files", "Imports", "Calls and uses", "Moved", "Full", "Partial", "Not served"];
  return table("SDKs in use", ["SDK", ["Adapter", "adapter"], ["Call sites", "wide"], ...numbers.map((name) => [name, "num"])],
    report.sdks.map((line) => inventoryRow(report, line, most, chosen)));
}

function inventoryRow(report, line, most, chosen) {
  const choose = () => {
    view.change({ sdk: chosen === line.sdk ? "" : line.sdk });
    if (view.state.sdk) goTo("shapes");
  };
  const numbers = [line.files, line.imports, line.calls, line.moved, line.full, line.partial, line.none];
  return make("tr", { class: chosen === line.sdk ? "chosen" : null },
    make("th", { scope: "row" },
      make("button", { type: "button", class: "plain", "aria-pressed": String(chosen === line.sdk), onclick: choose }, line.sdk)),
    cell(report.packages[line.sdk] ? make("code", {}, report.packages[line.sdk]) : make("span", { class: "muted" }, "none yet"), "adapter"),
    cell(make("div", { class: "measure" }, bar(line, most), make("span", {}, number(total(line)))), "wide"),
    numbers.map((value) => cell(value ? number(value) : "–", value ? "num" : "num muted")));
}
