"use strict";
// What goes on paper: the strip map, the table, and the first cards of the list as it is sorted.
// Lists on the screen hold only what is in sight; paper has no scroll bar.

const PRINTED_CARDS = 50;
const PRINTED_ROWS = 2000;

function layOut(cards, most = PRINTED_CARDS) {
  clearPrintout();
  if (find("#strip-map").classList.contains("dense")) {
    const listed = STRIPS.filter((strip) => strip.flagged || !strip.inspected);
    const rows = listed.slice(0, PRINTED_ROWS);
    find("#printed-map").append(
      make("p", { textContent: `Strips with indications, or not inspected: ${shownOf(rows.length, listed.length)}; ${number(STRIPS.length)} strips in all.` }),
      make("div", { className: "strip-map dense" }, drawAxis(), ...rows.map(drawRow)));
  }
  if (!cards.length) return;
  const rows = cards.slice(0, PRINTED_ROWS);
  const lines = make("div", { className: "list-table" }, drawHead(), ...rows.map(drawLine));
  lines.setAttribute("role", "table");
  lines.setAttribute("aria-label", "Indications, printed");
  find("#printed-cards").append(
    make("p", { textContent: `Listed: ${shownOf(rows.length, cards.length)}.` }), lines,
    make("h3", { textContent: `Evidence: ${shownOf(Math.min(most, cards.length), cards.length)}` }),
    make("div", { className: "printed-cards" }, ...cards.slice(0, most).map((card) => drawCard(card, true))),
  );
}

function clearPrintout() {
  for (const holder of every(".printout")) holder.replaceChildren();
}

const shownOf = (shown, all) => (shown === all ? `all ${number(all)}` : `the first ${number(shown)} of ${number(all)}, as sorted`);

function printedLog(card) {
  return [...drawLog(patchSubject(card), card.strip, card), ...drawLog(stripSubject(card.strip), card.strip, card)]
    .map((item) => {
      for (const button of every("button", item)) button.remove();
      return item;
    });
}

/** Lay out, wait for the pictures, print. */
async function printPage() {
  layOut(chosenCards());
  await Promise.allSettled(every(".printout img").map((image) => image.decode()));
  print();
}

addEventListener("beforeprint", () => {
  if (!find(".printout > *")) layOut(CARDS.length ? chosenCards() : []);
});
addEventListener("afterprint", () => {
  if (!STATE.print) clearPrintout();
});
