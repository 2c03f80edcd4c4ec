"use strict";
// What goes on paper: the strip map, the table, and the first cards of the list as it is sorted.
// Lists on the screen hold only what is in sight; paper has no scroll bar.

const PRINTED_CARDS = 50;
const PRINTED_ROWS = 2000;

function layOut(cards, most = PRINTED_CARDS) {
  clearPrintout();
  namePages();
  find("#printed-sign").append(...signature());
  if (find("#strip-map").classList.contains("dense")) {
    const listed = STRIPS.filter((strip) => strip.flagged || !strip.inspected);
    const rows = listed.slice(0, PRINTED_ROWS);
    find("#printed-map").append(
      make("p", { textContent: say("Strips with indications, or not inspected: {shown}; {all} strips in all.", { shown: shownOf(rows.length, listed.length), all: number(STRIPS.length) }) }),
      make("div", { className: "strip-map dense" }, drawAxis(), ...rows.map(drawRow)));
  }
  if (!cards.length) return;
  const rows = cards.slice(0, PRINTED_ROWS);
  const lines = make("div", { className: "list-table" }, drawHead(), ...rows.map(drawLine));
  lines.setAttribute("role", "table");
  lines.setAttribute("aria-label", say("Indications, printed"));
  find("#printed-cards").append(
    make("p", { textContent: say("Listed: {shown}.", { shown: shownOf(rows.length, cards.length) }) }), lines,
    make("h3", { textContent: say("Evidence: {shown}", { shown: shownOf(Math.min(most, cards.length), cards.length) }) }),
    make("div", { className: "printed-cards" }, ...cards.slice(0, most).map((card) => drawCard(card, true))),
  );
}

/** What is printed was given along: decisions, the release that was signed, and the seal. */
const given = () => (typeof PRINTED === "undefined" ? null : PRINTED);

/** Each page names the batch, and says which of how many it is. */
function namePages() {
  const quoted = (text) => `"${text.replace(/["\\\n\r\f]/g, (char) => `\\${char.codePointAt(0).toString(16)} `)}"`;
  const page = say("page {n} of {all}", { n: "\u0001", all: "\u0002" });
  const counted = quoted(page).replace("\u0001", '" counter(page) "').replace("\u0002", '" counter(pages) "');
  const margins = new CSSStyleSheet();
  margins.replaceSync(`@page { @bottom-left { content: ${quoted(REPORT.batch.name)}; } @bottom-right { content: ${counted}; } }`);
  document.adoptedStyleSheets.push(margins);
}

/** Where people sign: filled in from a release, else lines to write on. */
function signature() {
  const release = given()?.release;
  const lines = [
    [say("Coil"), release && (release.coil || REPORT.batch.name)],
    [say("Disposition"), release && say(release.disposition)],
    [say("Reason"), release && (release.reason || "–")],
    [say("Name"), release?.signature.name],
    [say("Date"), release && `${release.signature.time.slice(0, 16).replace("T", " ")} UTC`],
    [say("Seal of the report"), release?.seal ?? given()?.seal],
  ];
  return [
    make("h2", { textContent: say("Release") }),
    make("dl", {}, ...lines.map(([name, value]) =>
      make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value ?? "" })))),
  ];
}

function clearPrintout() {
  for (const holder of every(".printout")) holder.replaceChildren();
}

const shownOf = (shown, all) => (shown === all
  ? say("all {n}", { n: number(all) })
  : say("the first {n} of {all}, as sorted", { n: number(shown), all: number(all) }));

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
