"use strict";
// The report's columns (data/report.js) as strips and cards, by the names in docs/results.md.

/** @returns {any[]} */
function rowsOf(columns) {
  const names = Object.keys(columns);
  const count = columns[names[0]].length;
  return Array.from({ length: count }, (_, row) =>
    Object.fromEntries(names.map((name) => [name, columns[name][row]])));
}

const CLASSES = REPORT.classes;
/** @type {(name: string) => number} */
const classOf = (name) => CLASSES.findIndex((cls) => cls.key === name);
/** What the page calls a class of the model. */
const calledOf = (name) => CLASSES[classOf(name)]?.name ?? name;
/** @type {Strip[]} */
const STRIPS = rowsOf(REPORT.strips);
/** @type {Indication[]} */
const CARDS = rowsOf(REPORT.cards);

for (const [index, strip] of STRIPS.entries()) {
  strip.index = index;
  strip.cards = [];
  strip.inspected = strip.status === "inspected";
  strip.name = strip.strip_id.slice(strip.strip_id.lastIndexOf("/") + 1);
}
for (const card of CARDS) {
  card.strip = STRIPS[Number(card.strip)]; // the column holds its index
  card.strip.cards.push(card);
  card.right = card.left + card.size;
  card.bottom = card.top + card.size;
  card.class = classOf(card.target);
  card.second = classOf(card.runner_up); // -1 without one
  card.text = `${card.number} ${card.strip.strip_id}`.toLowerCase();
}

const glyph = (index) => clone(`glyph-${index}`);

// The outcomes by ground truth, as the tables name them and as people do.
const TRUTH = {
  found: word("found"), misnamed: word("wrong class"), overkill: word("false alarm"), escape: word("missed"),
  passed: word("passed"), unknown: word("unknown"),
};

/** Where a card's patch lies: "224–480 px, 112 to 240 mm"; on a strip of several rows of patches with
 * the way down: "98–210 × 0–112 px". */
function placeOf(card) {
  const px = `${spanOf(card, number)}${THIN}px`;
  return REPORT.mmPerPx === null ? px : say("{px}, {from} to {to}", { px, from: metric(card.left), to: metric(card.right) });
}

/** @type {(card: Indication, written?: (value: number) => string) => string} */
function spanOf(card, written = String) {
  const across = `${written(card.left)}–${written(card.right)}`;
  return card.strip.height > card.size ? `${across} × ${written(card.top)}–${written(card.bottom)}` : across;
}

/** Lay an element over the patch on a picture of its strip. */
function layOver(element, card) {
  const { width, height } = card.strip;
  element.style.left = `${(100 * card.left) / width}%`;
  element.style.width = `${(100 * card.size) / width}%`;
  if (height === card.size) return;
  element.style.top = `${(100 * card.top) / height}%`;
  element.style.bottom = `${(100 * (height - card.bottom)) / height}%`;
}

/** What a card is called where its picture cannot be seen. */
const nameOf = (card) =>
  `${CLASSES[card.class].name}, ${probability(card.score)}, ${card.strip.strip_id}, ${placeOf(card)}`;
