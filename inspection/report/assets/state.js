"use strict";
// What is shown, and how: kept in the address, so that a link or a bookmark leads back to it.

const DEFAULTS = {
  q: "", class: "", disposition: "", weak: "", truth: "", review: "", show: "flagged",
  sort: "number", view: "cards", palette: find("[data-state=palette] option")?.value ?? "",
  overlay: "100", keys: "on", advance: "on", card: "", print: "",
};
const STATE = { ...DEFAULTS };
const watchers = [];

/** Call `tell(changed)` after each change, with the set of names that changed. */
const watch = (tell) => watchers.push(tell);

/** An address's part after "#" as state; null if it names a place on the page instead. */
function readAddress() {
  const text = location.hash.slice(1);
  if (!text.includes("=")) return null;
  const given = new URLSearchParams(text);
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, usual]) => [name, given.get(name) ?? usual]));
}

function writeAddress() {
  const changed = Object.entries(STATE).filter(([name, value]) => value !== DEFAULTS[name] && name !== "print");
  const text = new URLSearchParams(changed).toString();
  try {
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  } catch {
    // Browsers limit how often; the next change writes it.
  }
}

function setState(changes) {
  const changed = new Set(Object.keys(changes).filter((name) => STATE[name] !== changes[name]));
  if (!changed.size) return;
  Object.assign(STATE, changes);
  writeAddress();
  for (const tell of watchers) tell(changed);
}

addEventListener("hashchange", () => {
  const given = readAddress();
  if (given) setState(given);
});

const SORT_BY = {
  number: (card) => card.number,
  score: (card) => card.score,
  doubt: (card) => (card.weak ? 1e3 : 0) + (card.weak_because ? card.weak_because.split(";").length * 10 : 0) + card.drop,
  drop: (card) => card.drop,
  removed: (card) => card.removed_share,
  agreement: (card) => card.agreement,
  area: (card) => card.region_area,
  class: (card) => card.class,
  left: (card) => card.left,
  strip: (card) => card.strip.index,
};

/** What is disputed is open, too. */
const isInReview = (card) => (STATE.review === "open" ? isOpen(card) : statusOf(patchSubject(card)) === STATE.review);

/** The cards that the filters let through, in order; those without the figure come last. */
function chosenCards() {
  const classes = new Set(STATE.class.split(",").filter(Boolean).map(Number));
  const words = STATE.q.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = CARDS.filter((card) =>
    (STATE.show === "all" || card.flagged === (STATE.show !== "others")) &&
    (!classes.size || classes.has(card.class)) &&
    (!STATE.disposition || card.strip.disposition === STATE.disposition) &&
    (!STATE.weak || card.weak === (STATE.weak === "yes")) &&
    (!STATE.truth || card.outcome === STATE.truth) &&
    (!STATE.review || isInReview(card) || lingering.has(card)) &&
    words.every((word) => card.text.includes(word)));
  const down = STATE.sort.startsWith("-");
  const value = SORT_BY[STATE.sort.replace("-", "")] ?? SORT_BY.number;
  const missing = (card) => value(card) === null;
  return chosen.sort((a, b) => {
    if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b)) || a.number - b.number;
    return (down ? value(b) - value(a) : value(a) - value(b)) || a.number - b.number;
  });
}
