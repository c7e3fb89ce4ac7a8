"use strict";
// The state of the view, kept in the address after `#`, so that a link shows the same view.

const KINDS = { moved: "moved", full: "full", partial: "partial", none: "none" };
const KIND_NAMES = { moved: "Moved", full: "Full", partial: "Partial", none: "Not served" };

const view = {
  listeners: [],
  state: { q: "", sdk: "", support: [], file: "" },

  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    this.state = {
      q: given.get("q") ?? "",
      sdk: given.get("sdk") ?? "",
      support: (given.get("support") ?? "").split(",").filter((kind) => kind in KINDS),
      file: given.get("file") ?? "",
    };
  },

  change(some) {
    Object.assign(this.state, some);
    this.write();
    this.notify();
  },

  write() {
    const entries = Object.entries(this.state).map(([key, value]) => [key, String(value)]);
    const text = String(new URLSearchParams(entries.filter(([, value]) => value)));
    history.replaceState(null, "", text ? `#${text}` : "#");
  },

  notify() {
    this.listeners.forEach((listener) => listener(this.state));
  },
};

function kindOf(shape) {
  return shape.moved ? "moved" : shape.support;
}

// Links to sections leave the address as it is: it holds the filter.
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
    goTo(link.getAttribute("href").slice(1));
  });
}
