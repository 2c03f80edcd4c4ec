"use strict";
// A whole strip, at full size, with its maps laid over, and the decision on it.

/** @type {Strip | null} */
let viewed = null;

/**
 * Open a strip, scrolled to the patch `at`; `tiles` shows the probabilities of all patches.
 * @type {(strip: Strip, at?: {left: number, top: number} | null, tiles?: boolean) => void}
 */
function openViewer(strip, at = null, tiles = false) {
  viewed = strip;
  const dialog = find("#viewer");
  find("h2 bdi", dialog).textContent = strip.strip_id;
  find(".rule", dialog).textContent = ruleOf(strip);
  const view = find(".strip-view", dialog);
  view.hidden = !strip.inspected;
  find(".slider", dialog).hidden = !strip.overlay_path;
  slot(dialog, "merged").hidden = !strip.overlay_path;
  find("[data-act=tiles]", dialog).hidden = !strip.inspected;
  const whole = Boolean(strip.raw_path) && isHere(strip.raw_path);
  write(dialog, "reduced", strip.inspected && !whole ? say("Only a reduced picture of this strip is kept here.") : "");
  if (strip.inspected) {
    const [raw, over] = every("img", view);
    const stack = find(".stack", view);
    stack.style.width = `${strip.width}px`;
    for (const image of [raw, over]) Object.assign(image, { width: strip.width, height: strip.height });
    raw.src = source(whole ? strip.raw_path : strip.thumb_path);
    raw.alt = say("Strip {name}", { name: strip.strip_id });
    over.hidden = !strip.overlay_path;
    if (strip.overlay_path) over.src = source(strip.overlay_path);
    else over.removeAttribute("src");
    find(".marks", view).replaceChildren(
      ...strip.cards.filter((own) => own.flagged).map((own) => drawMark(own, () => dialog.close())));
  }
  showDecision(dialog);
  dialog.showModal();
  view.scrollLeft = at ? at.left - 200 : 0;
  view.scrollTop = at ? at.top - 200 : 0;
  showTiles(tiles && strip.inspected, at);
}

function ruleOf(strip) {
  const proposed = say("Proposed: {disposition}.", { disposition: say(strip.disposition) });
  if (!strip.inspected) return `${say("Not inspected: {reason}.", { reason: strip.reason })} ${proposed}`;
  const flagged = plural(strip.patches, "{flagged} of {n} patch flagged.", "{flagged} of {n} patches flagged.",
    { flagged: number(strip.flagged) });
  return `${proposed} ${strip.rule}. ${flagged}`;
}

function showDecision(dialog = find("#viewer")) {
  slot(dialog, "decide").replaceChildren(drawDecide(viewed));
}

function wireViewer() {
  const dialog = find("#viewer");
  find("input[type=range]", dialog).addEventListener("input", (event) => {
    dialog.style.setProperty("--overlay", event.target.value / 100);
  });
  wireTiles();
  for (const box of every("dialog")) {
    find("[data-act=close]", box).addEventListener("click", () => box.close());
    box.addEventListener("click", (event) => {
      if (event.target === box && event.detail < 2) box.close(); // the backdrop, but not by a double click that opened it
    });
  }
}
