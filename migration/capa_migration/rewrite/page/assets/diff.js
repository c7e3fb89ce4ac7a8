"use strict";
// A unified diff, side by side.

function diffTable(path, text) {
  const rows = hunks(text).flatMap((hunk, at) => [at ? gap() : null, ...paired(hunk).map(diffRow)]);
  return make("table", { class: "diff" },
    make("caption", { class: "unseen" }, `Changes of ${path}`),
    make("colgroup", {}, ["at", "text", "at", "text"].map((kind) => make("col", { class: kind }))),
    make("thead", { class: "unseen" }, make("tr", {}, ["Line before", "Before", "Line after", "After"].map(head))),
    make("tbody", {}, rows.filter(Boolean)));
}

function hunks(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const start = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(line);
    if (start) found.push({ before: Number(start[1]), after: Number(start[2]), lines: [] });
    else if (found.length && line && line[0] !== "\\") found.at(-1).lines.push(line);
  }
  return found;
}

// Pairs removed lines with the added lines that replace them.
function paired({ before, after, lines }) {
  const rows = [];
  let removed = [], added = [];
  const flush = () => {
    for (let at = 0; at < Math.max(removed.length, added.length); at += 1) {
      rows.push({ old: removed[at], now: added[at], same: false });
    }
    removed = []; added = [];
  };
  for (const line of lines) {
    const text = line.slice(1);
    if (line[0] === "-") removed.push({ at: before++, text });
    else if (line[0] === "+") added.push({ at: after++, text });
    else { flush(); rows.push({ old: { at: before++, text }, now: { at: after++, text }, same: true }); }
  }
  flush();
  return rows;
}

function diffRow({ old, now, same }) {
  const [before, behind] = !same && old && now ? sharedEnds(old.text, now.text) : [0, 0];
  const both = !same && Boolean(old && now);
  return make("tr", { class: same ? "same" : "edit" },
    side(old, "old", "del", both, before, behind), side(now, "now", "ins", both, before, behind));
}

function side(line, kind, mark, both, before, behind) {
  if (!line) return [make("td", { class: `at ${kind} blank` }), make("td", { class: `${kind} blank` })];
  const end = line.text.length - behind;
  const text = both
    ? [line.text.slice(0, before), end > before ? make(mark, {}, line.text.slice(before, end)) : null, line.text.slice(end)]
    : [line.text];
  return [make("td", { class: `at ${kind}` }, String(line.at)), make("td", { class: kind }, text)];
}

// The number of characters that two lines share at the beginning and at the end, in whole words.
function sharedEnds(one, other) {
  const [words, others] = [one, other].map((text) => text.match(/\w+|\W/g) ?? []);
  const least = Math.min(words.length, others.length);
  let before = 0, behind = 0;
  while (before < least && words[before] === others[before]) before += 1;
  while (behind < least - before && words.at(-1 - behind) === others.at(-1 - behind)) behind += 1;
  return [words.slice(0, before), words.slice(words.length - behind)].map((some) => some.join("").length);
}

function gap() {
  return make("tr", { class: "gap" }, make("td", { colspan: 4 }, "⋯"));
}
