"use strict";
// Which cards are listed, which is the current one, and where to go from it.

/** @type {Indication[]} */
let shown = [];
/** Cards that were decided by mouse under a filter that they no longer match: they stay until the next
 * decision, so that nothing moves under the pointer. @type {Set<Indication>} */
const lingering = new Set();

const currentCard = () => CARDS.find((card) => String(card.number) === STATE.card) ?? null;
const usualState = () => ({ ...DEFAULTS, view: STATE.view, palette: STATE.palette, overlay: STATE.overlay, keys: STATE.keys, advance: STATE.advance });

/** Make a card the current one and bring it into sight. */
function go(card, focus = true) {
  if (!shown.includes(card)) {
    setState({ ...usualState(), show: card.flagged ? "flagged" : "all" });
    announce(say("The filters hid this indication; all are shown again."));
  }
  setCurrent(card);
  const node = activeList().show(card);
  if (focus) node?.focus({ preventScroll: true });
}

function setCurrent(card) {
  const before = currentCard();
  setState({ card: String(card.number) });
  if (before) activeList().nodeOf(before)?.classList.remove("current");
  activeList().nodeOf(card)?.classList.add("current");
}

function step(by) {
  const card = currentCard();
  const at = card ? shown.indexOf(card) : -1;
  const next = at < 0 ? (by > 0 ? 0 : shown.length - 1) : at + by;
  if (shown[next]) go(shown[next]);
  else announce(by > 0 ? say("This is the last one.") : say("This is the first one."));
}

/** The next open card of the list after one, from the first again after the last; null if there is none. */
function openAfter(card) {
  const at = shown.indexOf(card);
  return [...shown.slice(at + 1), ...shown.slice(0, Math.max(at, 0))].find(isOpen) ?? null;
}

function goToNextOpen() {
  const card = currentCard();
  const next = openAfter(card);
  if (next) go(next);
  else if (card && shown.includes(card) && isOpen(card)) announce(say("This is the only open one."));
  else announce(noneOpen());
}

const noneOpen = () => (CARDS.some((card) => card.flagged && isOpen(card)) ? say("None of those shown is open.") : say("All indications are decided."));

function showList() {
  shown = chosenCards();
  showCounts();
  find("#table").firstElementChild.replaceWith(drawHead());
  lists.cards.setItems(table() ? [] : shown);
  lists.table.setItems(table() ? shown : []);
  showLedger();
  keepInSight();
}

/** The same after a decision: what stays in the list stays where it is. */
function listAnew() {
  shown = chosenCards();
  showCounts();
  activeList().changeItems(shown);
}

function showCounts() {
  find("#cards").hidden = table() || !shown.length;
  find("#table").hidden = !table() || !shown.length;
  find("#nothing").hidden = shown.length > 0;
  const all = CARDS.filter((card) => STATE.show === "all" || card.flagged === (STATE.show !== "others")).length;
  find("#matches").textContent = shown.length === all ? say("{n} shown", { n: number(all) })
    : say("{shown} of {n} shown", { shown: number(shown.length), n: number(all) });
  find("#table").setAttribute("aria-rowcount", shown.length + 1);
}

/** After another choice of cards: the current one stays in sight, or the list begins anew. */
function keepInSight() {
  const stuck = measureSticky(); // other counts may have wrapped the toolbar
  const top = find(table() ? "#table" : "#cards").getBoundingClientRect().top;
  if (!shown.length || top >= stuck) return;
  const card = currentCard();
  if (card && shown.includes(card)) activeList().show(card);
  else scrollBy({ top: top - stuck - 16, behavior: "instant" });
}

/** The height of what sticks to the top, px; the style sheet gets it, too. */
function measureSticky() {
  const height = every(".sections, .toolbar").filter((element) => getComputedStyle(element).position === "sticky")
    .reduce((sum, element) => sum + element.offsetHeight, 0);
  document.documentElement.style.setProperty("--stuck", `${height}px`);
  document.documentElement.style.setProperty("--nav", `${find(".sections").offsetHeight}px`);
  return height;
}

/**
 * After a decision: what the filter lets through is listed anew, and the next open card becomes current.
 * Returns a word where there is none.
 * @param {Indication | null} card   the one that was decided on
 * @param {{mouse?: boolean, advance?: boolean}} how
 */
function goOn(card, { mouse = false, advance = false }) {
  if (!lists) return "";
  const at = card ? shown.indexOf(card) : -1;
  const next = card && openAfter(card);
  const before = mouse && card ? activeList().topOf(card) : null;
  lingering.clear();
  if (card && mouse) lingering.add(card);
  if (STATE.review) listAnew();
  if (!card || at < 0) return "";
  if (mouse) {
    setCurrent(card);
    if (before !== null) scrollBy({ top: (activeList().topOf(card) ?? before) - before, behavior: "instant" });
  } else if (!shown.includes(card)) {
    if (shown.length) go(next ?? shown[Math.min(at, shown.length - 1)]);
  } else if (advance && STATE.advance === "on" && next) {
    go(next);
  }
  return advance && !next && !isOpen(card) ? noneOpen() : "";
}
