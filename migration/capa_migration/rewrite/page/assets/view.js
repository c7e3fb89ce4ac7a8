"use strict";
// The state of the view, kept in the address after `#`, so that a link shows the same view, at the same place.

const KINDS = { moved: "moved", full: "full", partial: "partial", none: "none" };
const KIND_NAMES = { moved: "Moved", full: "Full", partial: "Partial", none: "Not served" };

const view = {
  listeners: [],
  state: { q: "", sdk: "", support: [], file: "", at: "" },

  read() {
    const given = stateIn(location.hash);
    this.state = {
      q: given.get("q") ?? "",
      sdk: given.get("sdk") ?? "",
      support: (given.get("support") ?? "").split(",").filter((kind) => kind in KINDS),
      file: given.get("file") ?? "",
      at: given.get("at") ?? "",
    };
  },

  change(some) {
    Object.assign(this.state, some);
    this.write();
    this.notify();
  },

  write() {
    const entries = Object.entries(this.state).map(([key, value]) => [key, String(value)]);
    const given = entries.filter(([, value]) => value);
    const text = given.length === 1 && given[0][0] === "at" ? this.state.at : String(new URLSearchParams(given));
    history.replaceState(null, "", text ? `#${text}` : "#");
  },

  // Go to the section or file that the address names.
  arrive() {
    if (this.state.at || this.state.file) goTo(this.state.at || "shown");
  },

  notify() {
    this.listeners.forEach((listener) => listener(this.state));
  },
};

// A plain `#changes` names a section; all else is `key=value`.
function stateIn(hash) {
  const text = hash.slice(1);
  return new URLSearchParams(text && document.getElementById(text) ? { at: text } : text);
}

// A call that is not served fails also after it has moved.
function kindOf(shape) {
  return shape.moved && shape.support !== "none" ? "moved" : shape.support;
}

function goTo(id) {
  const section = document.getElementById(id);
  if (!section) return;
  section.scrollIntoView();
  section.focus({ preventScroll: true });
}

function followLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    event.preventDefault();
    const given = stateIn(link.getAttribute("href"));
    view.change(given.has("file") ? { file: given.get("file"), at: "" } : { at: given.get("at") ?? "" });
    view.arrive();
  });
}
