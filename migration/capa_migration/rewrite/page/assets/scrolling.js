"use strict";
// Parts that scroll to the side: the edge behind which there is more fades, and they can be scrolled by keyboard.

function showScrolling() {
  const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => mark(target.closest(".scroll"))));
  const watch = (part) => {
    part.addEventListener("scroll", () => mark(part), { passive: true });
    resized.observe(part);
    for (const inner of part.children) resized.observe(inner);
    if (part.tagName !== "NAV") part.after(make("p", { class: "hint", "aria-hidden": "true" }, "More to the right: scroll to the side →"));
    mark(part);
  };
  document.querySelectorAll(".scroll").forEach(watch);
  new MutationObserver((changes) => changes.forEach(({ target }) => mark(target.closest(".scroll"))))
    .observe(document.querySelector("main"), { childList: true, subtree: true });
}

function mark(part) {
  if (!part) return;
  const overflows = part.scrollWidth > part.clientWidth + 1;
  part.toggleAttribute("data-more", overflows && part.scrollLeft + part.clientWidth < part.scrollWidth - 1);
  if (part.tagName === "NAV") return; // its links take the focus
  if (overflows) filled(part, { tabindex: "0", role: "region" }, []);
  else for (const name of ["tabindex", "role"]) part.removeAttribute(name);
}
