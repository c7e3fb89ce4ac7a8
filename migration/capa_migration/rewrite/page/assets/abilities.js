"use strict";
// Abilities that the application needs, block by block.

const SUPPORT_NAMES = { native: "native", driver: "by driver", core: "by core", approximate: "approximate", absent: "no", unknown: "?" };

function drawAbilities(report) {
  const place = document.getElementById("abilities-list");
  if (!report.abilities.length) {
    place.append(nothing("abilities", "No call site asks for a particular ability: every engine will do."));
    return;
  }
  place.append(
    ...report.abilities.map(abilityBlock),
    requirements(report.abilities) ?? "");
}

function abilityBlock(block) {
  const notes = new Map();
  const heads = block.engines.map(({ name }) => [make("code", {}, name), "how"]);
  const rows = block.rows.map((row) => make("tr", {},
    make("th", { scope: "row" }, make("b", {}, labelText(row.label)), " ", make("span", { class: "muted" }, row.meaning),
      make("span", { class: "asking" }, "Needed by ", callers(row.asking))),
    cell(row.level, "num"),
    row.cells.map((one, at) => howCell(one, `${labelText(row.label)}, ${block.engines[at].name}`, notes))));
  return make("article", {}, make("h3", {}, block.block, " ", make("span", { class: "verdict" }, verdict(block))),
    make("div", { class: "scroll", "aria-label": `Abilities of ${block.block}` }, table(`Abilities of ${block.block}`, ["Ability", ["Level", "num"], ...heads], rows)),
    notes.size ? make("ol", { class: "notes" }, [...notes].map(([note, subjects]) => make("li", {}, `${subjects.join("; ")}: ${note}`))) : null);
}

function labelText(label) {
  return label.replaceAll("_", " ");
}

function callers(names) {
  return names.map(([name, count], at) => [at ? ", " : "", make("code", {}, name), ` ×${number(count)}`]);
}

function howCell(one, subject, notes) {
  if (one.note) notes.set(one.note, [...(notes.get(one.note) ?? []), subject]);
  const mark = one.note ? make("sup", {}, String([...notes.keys()].indexOf(one.note) + 1)) : null;
  return cell([badge(SUPPORT_NAMES[one.how], `how-${one.how}`), mark], "how");
}

function verdict(block) {
  const known = block.engines.map((engine, at) => ({ ...engine, cells: block.rows.map((row) => [labelText(row.label), row.cells[at].how]) }))
    .filter(({ cells }) => !cells.some(([, how]) => how === "unknown"));
  const lacking = known.map(({ name, installed, cells }) =>
    ({ name: installed ? name : `${name} (not installed)`, gaps: cells.filter(([, how]) => how === "absent").map(([label]) => label) }));
  const able = lacking.filter(({ gaps }) => !gaps.length).map(({ name }) => name);
  const unable = lacking.filter(({ gaps }) => gaps.length).map(({ name, gaps }) => `${name} lacks ${gaps.join(" and ")}`);
  return [able.length ? `all of it on ${able.join(", ")}` : "no engine has all of it", ...unable].join("; ");
}

// Abilities of level 0 are on every engine and need no [requires].
function requirements(blocks) {
  const lines = blocks.flatMap(({ block, rows }) => {
    const labels = rows.filter((row) => row.level !== "0").map((row) => `"${row.label}"`);
    return labels.length ? [`${block} = [${labels.join(", ")}]`] : [];
  });
  if (!lines.length) return null;
  return make("div", { class: "snippet" }, make("p", {}, "To fail at start-up if an ability is missing, add this to ", make("code", {}, "capa.toml"), ":"),
    make("pre", {}, `[requires]\n${lines.join("\n")}`));
}
