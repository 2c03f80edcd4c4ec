"use strict";
// Single keys act on the current indication. They can be switched off (WCAG 2.1.4).

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  o: () => setState({ overlay: STATE.overlay === "0" ? "100" : "0" }),
  p: () => {
    const names = every("[data-state=palette] option").map((option) => option.value);
    setState({ palette: names[(names.indexOf(STATE.palette) + 1) % names.length] });
  },
  t: (card) => card && toggleRunnerUp(card),
  g: (card) => card && openViewer(card.strip, card),
  c: (card) => card && decide(patchSubject(card), { kind: "confirm" }, card.strip, card),
  x: (card) => card?.flagged && decide(patchSubject(card), { kind: "reject" }, card.strip, card),
  u: (card) => card && undoLatest(card),
  "/": () => find("[data-state=q]")?.focus(),
  "?": () => find("#help").showModal(),
};
for (const [key, name] of Object.entries({ a: "accept", h: "hold", r: "rework", s: "scrap" })) {
  KEYS[key] = (card) => card && decide(stripSubject(card.strip), { kind: "disposition", disposition: name }, card.strip, card);
}
for (const [index, { symbol }] of CLASSES.entries()) {
  if (index > 0 && symbol.length === 1) KEYS[symbol] = (card) => card && decideClass(card, index);
}

addEventListener("keydown", (event) => {
  if (STATE.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target instanceof Element && event.target.closest("input:not([type=range], [type=checkbox], [type=radio]), select, textarea, dialog")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act(currentCard());
});
