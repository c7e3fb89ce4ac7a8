"use strict";
// Elements from plain values. Text becomes text nodes only: nothing from a repository is ever parsed as HTML.

function make(kind, attributes = {}, ...children) {
  return filled(document.createElement(kind), attributes, children);
}

function drawn(kind, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", kind), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

function table(caption, heads, rows) {
  return make("table", {},
    make("caption", { class: "unseen" }, caption),
    make("thead", {}, make("tr", {}, heads.map(head))),
    make("tbody", {}, rows));
}

function head(title) {
  const [text, kind] = Array.isArray(title) ? title : [title, null];
  return make("th", { scope: "col", class: kind }, text);
}

function cell(content, kind) {
  return make("td", { class: kind }, content);
}

function number(value) {
  return value.toLocaleString("en");
}

function counted(value, one, many) {
  return `${number(value)} ${value === 1 ? one : many ?? `${one}s`}`;
}

function day(date) {
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

function moment(date) {
  return `${day(date)}, ${date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`;
}

function badge(word, kind) {
  return make("span", { class: `badge ${kind}` }, word);
}

// `names` in backticks, as messages write them.
function marked(text) {
  return text.split(/`([^`]+)`/).map((part, at) => (at % 2 ? make("code", {}, part) : part));
}

function sentence(text) {
  return marked(`${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?`]$/.test(text) ? "" : "."}`);
}

// A long list is drawn up to a limit, and in full after a click.
function listed(rows, limit, noun, draw) {
  const shown = make("div", {});
  const show = (some) => shown.replaceChildren(draw(some));
  show(rows.slice(0, limit));
  if (rows.length <= limit) return shown;
  const all = make("button", { type: "button", class: "more", onclick: () => { show(rows); all.remove(); } },
    `Show all ${number(rows.length)} ${noun}`);
  return make("div", {}, shown, all);
}

// An empty section: its introduction says nothing then.
function nothing(id, ...content) {
  document.getElementById(id).dataset.empty = "true";
  return make("p", { class: "muted" }, content);
}

// A link to the diff of a file, if the page holds one.
function fileLink(report, path, text) {
  const code = make("code", {}, text);
  return report.changed.has(path) ? make("a", { href: `#${new URLSearchParams({ file: path })}`, title: "Show the diff" }, code) : code;
}
