"use strict";
// The review's pages work without this. It shows pictures larger, and brings the place in a page
// that was asked for through the form of signing in.

{
  const next = /** @type {HTMLInputElement | null} */ (document.querySelector("input[name=next]"));
  if (next && location.hash) next.value += location.hash;

  const dialog = /** @type {HTMLDialogElement | null} */ (document.querySelector("#zoom"));
  const image = dialog?.querySelector("img");
  if (dialog && image) {
    const scales = [...dialog.querySelectorAll("button")].filter((button) => button.dataset.scale);
    const show = (scale) => {
      for (const button of scales) button.setAttribute("aria-pressed", String(button.dataset.scale === scale));
      image.style.width = `${image.naturalWidth * Number(scale)}px`;
    };
    for (const button of scales) button.addEventListener("click", () => show(button.dataset.scale));
    image.addEventListener("load", () => show("1"));
    for (const link of document.querySelectorAll("a")) {
      if (!link.classList.contains("zoom")) continue;
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
        event.preventDefault();
        image.src = link.href;
        image.alt = link.querySelector("img")?.alt ?? "";
        dialog.showModal();
      });
    }
  }
}
