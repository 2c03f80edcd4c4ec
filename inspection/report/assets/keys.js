"use strict";
// Single keys act on the current indication. They can be switched off (WCAG 2.1.4).

/** @type {Record<string, (card: Indication | null) => unknown>} */
const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  n: goToNextOpen,
  o: () => setState({ overlay: STATE.overlay === "0" ? "100" : "0" }),
  p: () => {
    const names = every("[data-state=palette] option").map((option) => option.value);
    setState({ palette: names[(names.indexOf(STATE.palette) + 1) % names.length] });
  },
  t: (card) => card && toggleRunnerUp(card),
  z: (card) => card && openLook(card),
  g: (card) => card && openViewer(card.strip, card),
  c: (card) => card && decide(patchSubject(card), { kind: "confirm" }, card.strip, card),
  x: (card) => card?.flagged && decide(patchSubject(card), { kind: "reject" }, card.strip, card),
  b: confirmSeveral,
  u: undoLatest,
  "/": () => find("[data-state=q]")?.focus(),
  "?": () => find("#help").showModal(),
};
const MOVING = new Set("jk");
const DECIDING = new Set("cx");
for (const [key, name] of Object.entries({ a: word("accept"), h: word("hold"), r: word("rework"), s: word("scrap") })) {
  DECIDING.add(key);
  KEYS[key] = (card) => card && decide(stripSubject(card.strip), { kind: "disposition", disposition: name }, card.strip, card);
}
for (const [index, { symbol }] of CLASSES.entries()) {
  if (index === 0 || symbol.length !== 1) continue;
  DECIDING.add(symbol);
  KEYS[symbol] = (card) => card && decideClass(card, index);
}

/**
 * What a key stands for on any layout: a Latin letter by itself, whatever Caps Lock says; where the
 * layout gives none (Cyrillic) the letter that the key has on others; a digit with and without Shift
 * where the layout wants Shift for it (French).
 * @type {(event: {key: string, code: string, shiftKey: boolean}) => string}
 */
function keyOf({ key, code, shiftKey }) {
  const letter = /^[a-z]$/i.test(key) ? key.toLowerCase() : /^\p{Letter}$/u.test(key) ? code.match(/^Key([A-Z])$/)?.[1].toLowerCase() : "";
  if (letter) return shiftKey ? "" : letter;
  if (/^[0-9]$/.test(key) || Object.hasOwn(KEYS, key)) return key;
  return shiftKey ? "" : code.match(/^Digit([0-9])$/)?.[1] ?? "";
}

/** Whether the key is meant for what has the focus, or for an open dialog. */
const isTaken = (target) => Boolean(find("dialog[open]")) ||
  (target instanceof Element && Boolean(target.closest("input:not([type=range], [type=checkbox], [type=radio]), select, textarea")));

/** A key that decides does so on what is seen: else the card is shown first, and the key is pressed again. */
function isSeen(card) {
  if (!card) {
    announce(say("Choose an indication first: n leads to the next open one."));
    return false;
  }
  if (activeList().isInSight(card, measureSticky())) return true;
  go(card);
  announce(say("This one was out of sight. Press the key again to decide."));
  return false;
}

addEventListener("keydown", (event) => {
  if (STATE.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTaken(event.target)) return;
  const key = keyOf(event);
  const act = Object.hasOwn(KEYS, key) ? KEYS[key] : null;
  if (!act) return;
  event.preventDefault();
  if (event.repeat && !MOVING.has(key)) return;
  const card = shown.find((one) => one === currentCard()) ?? null; // what filters hide is not decided on
  if (!DECIDING.has(key) || isSeen(card)) act(card);
});
