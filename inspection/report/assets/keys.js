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
  g: (card) => card && openViewer(card.strip, card),
  c: (card) => card && decide(patchSubject(card), { kind: "confirm" }, card.strip, card),
  x: (card) => card?.flagged && decide(patchSubject(card), { kind: "reject" }, card.strip, card),
  b: confirmSeveral,
  u: undoLatest,
  "/": () => find("[data-state=q]")?.focus(),
  "?": () => find("#help").showModal(),
};
for (const [key, name] of Object.entries({ a: word("accept"), h: word("hold"), r: word("rework"), s: word("scrap") })) {
  KEYS[key] = (card) => card && decide(stripSubject(card.strip), { kind: "disposition", disposition: name }, card.strip, card);
}
for (const [index, { symbol }] of CLASSES.entries()) {
  if (index > 0 && symbol.length === 1) KEYS[symbol] = (card) => card && decideClass(card, index);
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

addEventListener("keydown", (event) => {
  if (STATE.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTaken(event.target)) return;
  const key = keyOf(event);
  const act = Object.hasOwn(KEYS, key) ? KEYS[key] : null;
  if (!act) return;
  event.preventDefault();
  if (!event.repeat || key === "j" || key === "k") act(currentCard());
});
