"use strict";
// Which section is read now: its link says so.

const READ_AT = { rootMargin: "-25% 0px -74% 0px" }; // a line across the window, a quarter down

function watchSections() {
  const links = new Map(every("nav.sections a[href^='#']").map((link) => [link.getAttribute("href").slice(1), link]));
  const tell = (id) => {
    for (const [own, link] of links) {
      if (own === id) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  };
  const observer = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) if (isIntersecting) tell(target.id || "top");
  }, READ_AT);
  for (const part of every(".masthead, main > section")) observer.observe(part);
}

watchSections();
