"use strict";
// The list of changed files, and the diff of the chosen one.

const FILES_AT_FIRST = 200;
const STATES = { ready: "to write", written: "written" };

function drawChanges(report, files) {
  const place = document.getElementById("changes-view");
  if (!files.length) {
    place.append(nothing("changes", "No file would change, and none has been changed."));
    return;
  }
  addKeys(files);
  const diff = make("div", { class: "shown", id: "shown", tabindex: "-1", role: "region", "aria-label": "Diff" });
  const list = make("div", { class: "files" });
  place.append(installNote(report), leftOut(report, files), make("div", { class: "viewer" }, make("div", { class: "picker" }, fileFilter(files, list), list), diff));
  const draw = ({ file }) => {
    const chosen = files.find((one) => one.key === file) ?? files[0];
    diff.replaceChildren(shownFile(report, chosen));
    markChosen(list, chosen);
  };
  fillFiles(files, list);
  view.listeners.push(draw);
  draw(view.state);
}

// Several rewrites may have changed the same file: its later entries get a key of their own.
function addKeys(files) {
  files.forEach((file, at) => {
    const before = files[at - 1];
    file.key = before && before.path === file.path ? `${before.key} (again)` : file.path;
  });
}

function installNote(report) {
  const parts = report.install.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));
  return report.install ? make("p", { class: "remark" }, ...parts) : "";
}

function leftOut(report, files) {
  const unlisted = report.changes - files.length;
  const undrawn = files.filter((file) => file.diff === undefined).length;
  if (!unlisted && !undrawn) return "";
  const parts = [undrawn ? `the diffs of ${counted(undrawn, "file")}` : null, unlisted ? counted(unlisted, "file") : null];
  return make("p", { class: "remark" }, `Left out to keep this page small: ${parts.filter(Boolean).join(" and ")}. `,
    make("code", {}, `capa migrate diff ${report.path}`), " shows all changes still to be written.");
}

function fileFilter(files, list) {
  const field = make("input", { type: "search", placeholder: `Among ${counted(files.length, "file")}`, "aria-label": "Filter the files",
    autocomplete: "off", spellcheck: "false" });
  field.addEventListener("input", () => {
    const text = field.value.trim().toLowerCase();
    fillFiles(files.filter((file) => file.path.toLowerCase().includes(text)), list);
    markChosen(list, { key: list.dataset.chosen });
  });
  return field;
}

function fillFiles(files, list) {
  list.replaceChildren(files.length
    ? listed(files, FILES_AT_FIRST, "files", (some) => make("ul", {}, some.map(fileItem)))
    : make("p", { class: "muted empty" }, "No file matches."));
}

function fileItem(file) {
  const [, folder, name] = /^(.*\/)?([^/]*)$/s.exec(file.key);
  return make("li", {}, make("button", { type: "button", class: "file", "data-key": file.key, onclick: () => view.change({ file: file.key, at: "" }) },
    make("span", { class: "muted" }, folder ?? ""), make("span", { class: "name" }, name)));
}

function markChosen(list, file) {
  list.dataset.chosen = file.key;
  for (const button of list.querySelectorAll("button.file")) {
    button.setAttribute("aria-current", String(button.dataset.key === file.key));
  }
}

function shownFile(report, file) {
  return make("article", {},
    make("header", {},
      make("h3", {}, make("code", {}, file.path)),
      make("a", { class: "anchor", href: `#${new URLSearchParams({ file: file.key })}`, "aria-label": `Link to the diff of ${file.path}` }),
      make("p", {}, badge("✓ Proven", "proven"), ` · ${STATES[file.state]} · ${counted(file.edits, "edit")} by ${file.rules.join(", ")}`),
      make("dl", { class: "digests" },
        make("dt", {}, "SHA-256 before"), make("dd", {}, make("code", {}, file.before || "no file")),
        make("dt", {}, "after"), make("dd", {}, make("code", {}, file.after)))),
    file.diff === undefined
      ? make("p", { class: "remark" }, "This diff was left out. To see it: ", make("code", {}, `capa migrate diff ${file.path}`))
      : make("div", {}, diffTable(file.path, file.diff)));
}
