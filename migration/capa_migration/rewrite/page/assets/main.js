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

function say(trouble) {
  const place = document.getElementById("trouble");
  place.textContent = trouble;
  place.hidden = false;
}

async function main() {
  showTheme();
  if (!("DecompressionStream" in window)) {
    say("This browser is too old to unpack the lists of this page: open it in one from 2023 or later.");
    return;
  }
  view.read();
  const report = await unpackedReport();
  [drawWhole, drawInventory, drawShapes, drawExplanations, drawAbilities, drawFindings, drawProgress].forEach((draw) => draw(report));
  await drawChanges(report);
  followLinks();
  window.addEventListener("hashchange", () => { view.read(); view.tell(); });
  document.documentElement.dataset.ready = "true";
}

main().catch((error) => {
  say(`The page is damaged (${error.message}): make it again with capa report.`);
  throw error;
});
