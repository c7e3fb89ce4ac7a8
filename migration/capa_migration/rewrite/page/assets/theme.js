"use strict";
// Runs before anything is painted, so that a dark page never flashes white.
const theme = {
  key: "capa-theme",
  get() {
    // A browser may refuse storage to a local file: then the theme lasts until the page is closed.
    try { return localStorage.getItem(this.key); } catch { return null; }
  },
  keep(name) {
    try { localStorage.setItem(this.key, name); } catch { return; }
  },
  apply(name) {
    document.documentElement.dataset.theme = name;
  },
  preferred: () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
};
theme.apply(theme.get() ?? theme.preferred());
