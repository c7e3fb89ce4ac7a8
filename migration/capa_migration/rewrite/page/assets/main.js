"use strict";

function showTheme() {
  const button = document.getElementById("theme");
  const next = () => (document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  const name = () => { button.textContent = next() === "dark" ? "Dark theme" : "Light theme"; };
  button.addEventListener("click", () => { theme.keep(next()); theme.apply(next()); name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!theme.get()) { theme.apply(theme.preferred()); name(); }
  });
  name();
  button.hidden = false;
}

function showTrouble(message) {
  const place = document.getElementById("trouble");
  place.textContent = message;
  place.hidden = false;
}

async function main() {
  showTheme();
  if (!("DecompressionStream" in window)) {
    showTrouble("This browser cannot unpack the lists of this page: open it in a browser from 2023 or later.");
    return;
  }
  view.read();
  const report = await unpackedReport();
  const files = report.changes ? await unpackedChanges() : [];
  report.changed = new Set(files.map(({ path }) => path));
  [drawWhole, drawInventory, drawShapes, drawExplanations, drawAbilities, drawFindings, drawProgress].forEach((draw) => draw(report));
  drawChanges(report, files);
  showScrolling();
  followLinks();
  window.addEventListener("hashchange", () => { view.read(); view.notify(); view.arrive(); });
  view.arrive();
  document.documentElement.dataset.ready = "true";
}

main().catch((error) => {
  showTrouble(`The page is damaged (${error.message}): write it again with capa report.`);
  throw error;
});
