"use strict";
// A coil from its head to its end: a band per side, with its strips and where something is flagged.

const SVG = find(".shapes").namespaceURI;
const BAND = 46; // px
const LONG = 1000; // units along the coil
const shape = (tag, attributes) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
};

/** Bands of all coils whose strips have a place; nothing where none has. */
function drawCoils() {
  const holder = find("#coil-maps");
  if (!holder) return;
  const groups = new Map();
  for (const strip of STRIPS.filter((one) => one.start_m !== null && one.length_m !== null)) {
    const sides = groups.get(strip.coil) ?? new Map();
    groups.set(strip.coil, sides.set(strip.side, [...(sides.get(strip.side) ?? []), strip]));
  }
  for (const [coil, sides] of groups) {
    const end = Math.max(...[...sides.values()].flat().map((strip) => strip.start_m + strip.length_m));
    const figure = make("figure", { className: "coil-map" }, make("figcaption", {}, make("bdi", { textContent: say("Coil {name}", { name: coil }) })));
    const ordered = [...sides].sort(([a], [b]) => b.localeCompare(a)); // top, bottom
    for (const [side, strips] of ordered) figure.append(drawBand(coil, side, strips, end));
    const axis = make("p", { className: "ticks" });
    axis.setAttribute("aria-hidden", "true");
    for (const share of [0, 0.25, 0.5, 0.75, 1]) axis.append(make("span", { textContent: `${decimal(share * end, end < 20 ? 1 : 0)}${THIN}m` }));
    figure.append(axis);
    holder.append(figure);
  }
  holder.addEventListener("click", (event) => {
    const number_ = event.target instanceof Element && event.target.closest("[data-card]")?.getAttribute("data-card");
    if (number_) go(CARDS[Number(number_) - 1]);
  });
}

function drawBand(coil, side, strips, end) {
  const cards = strips.flatMap((strip) => strip.cards.filter((card) => card.flagged && card.coil_m !== null));
  const band = make("div", { className: "band" });
  const name = { top: say("top"), bottom: say("bottom") }[side] ?? "";
  band.append(make("span", { className: "muted", textContent: name }));
  const drawing = shape("svg", { viewBox: `0 0 ${LONG} ${BAND}`, preserveAspectRatio: "none", role: "img" });
  drawing.setAttribute("aria-label", plural(cards.length,
    "{coil} {side}: {n} indication along {length} m", "{coil} {side}: {n} indications along {length} m",
    { coil, side: name, length: decimal(end, 1) }));
  for (const strip of strips) {
    const [x, width] = [LONG * strip.start_m / end, LONG * strip.length_m / end];
    const block = shape("rect", { x, y: 4, width: Math.max(width - 0.6, 0.4), height: BAND - 8, class: `strip-block${strip.inspected ? "" : " missing-block"}` });
    block.append(titled(`${strip.strip_id}, ${decimal(strip.start_m, 2)}${THIN}m`));
    drawing.append(block);
  }
  for (const card of cards) drawing.append(drawPlace(card, end));
  band.append(drawing);
  return band;
}

function drawPlace(card, end) {
  const down = card.strip.height > card.size ? (card.top + card.size / 2) / card.strip.height : 0.5;
  const at = { x: LONG * card.coil_m / end - 2, y: 4 + down * (BAND - 8) - 9, width: 4, height: 18 };
  const place = shape("rect", { ...at, class: `place k${CLASSES[card.class].style}${card.roll_mark ? " rolled" : ""}`, "data-card": card.number });
  place.append(titled(`${CLASSES[card.class].name}, ${probability(card.score)}, ${coilPlaceOf(card)}`));
  return place;
}

function titled(text) {
  const title = shape("title", {});
  title.textContent = text;
  return title;
}

/** Where a card lies on its coil: "12.34 m from the head, 412 mm from the edge"; "" if not known. */
function coilPlaceOf(card) {
  if (card.coil_m === null) return "";
  const along = say("{metres} m from the head", { metres: decimal(card.coil_m, 2) });
  if (REPORT.mmPerPx === null) return along;
  const across = card.top + (card.region_top === null ? card.size / 2 : card.region_top + card.region_height / 2);
  return say("{along}, {mm} mm from the upper edge", { along, mm: number(Math.round(across * REPORT.mmPerPx)) });
}

/** The roll mark that a card is of, in words; "" for none. */
function rollMarkOf(card) {
  const mark = REPORT.rollMarks[card.roll_mark - 1];
  return mark ? say("repeats every {period} m, {hits} of {turns} times", { period: decimal(mark.period, 2), hits: mark.hits, turns: mark.turns }) : "";
}
