"use strict";
// A whole strip, at full size, with its maps laid over, and the decision on it.

/** @type {Strip | null} */
let viewed = null;

/** @type {(strip: Strip, card?: Indication | null) => void} */
function openViewer(strip, card = null) {
  viewed = strip;
  const dialog = find("#viewer");
  find("h2 bdi", dialog).textContent = strip.strip_id;
  find(".rule", dialog).textContent = strip.inspected
    ? `Proposed: ${strip.disposition}. ${strip.rule}. ${number(strip.flagged)} of ${plural(strip.patches, "{n} patch", "{n} patches")} flagged.`
    : `Not inspected: ${strip.reason}. Proposed: ${strip.disposition}.`;
  const view = find(".strip-view", dialog);
  view.hidden = !strip.inspected;
  const slider = find(".slider", dialog);
  slider.hidden = !strip.overlay_path;
  if (strip.inspected) {
    const [raw, over] = every("img", view);
    const stack = find(".stack", view);
    stack.style.width = `${strip.width}px`;
    for (const image of [raw, over]) Object.assign(image, { width: strip.width, height: strip.height });
    raw.src = source(strip.raw_path || strip.thumb_path);
    raw.alt = `Strip ${strip.strip_id}`;
    over.hidden = !strip.overlay_path;
    if (strip.overlay_path) over.src = source(strip.overlay_path);
    else over.removeAttribute("src");
    find(".marks", view).replaceChildren(
      ...strip.cards.filter((own) => own.flagged).map((own) => drawMark(own, () => dialog.close())));
  }
  showDecision(dialog);
  dialog.showModal();
  view.scrollLeft = card ? card.left - 200 : 0;
}

function showDecision(dialog = find("#viewer")) {
  slot(dialog, "decide").replaceChildren(drawDecide(viewed));
}

function wireViewer() {
  const dialog = find("#viewer");
  find("input[type=range]", dialog).addEventListener("input", (event) => {
    dialog.style.setProperty("--overlay", event.target.value / 100);
  });
  for (const box of every("dialog")) {
    find("[data-act=close]", box).addEventListener("click", () => box.close());
    box.addEventListener("click", (event) => {
      if (event.target === box) box.close(); // the backdrop
    });
  }
}
