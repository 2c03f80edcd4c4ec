"use strict";
// Many indications decided at once, with one reason, and one undo.

/** Open cards of the list by the class that confirming them would say. */
function shownByClass() {
  /** @type {Map<number, Indication[]>} */
  const groups = new Map();
  for (const card of shown) {
    if (!isOpen(card)) continue;
    const said = saidOf(card);
    if (!groups.has(said)) groups.set(said, []);
    groups.get(said)?.push(card);
  }
  return groups;
}

/** The other open indications of a card's class on its strip. @param {Indication} card */
const othersLike = (card) => openOf(card.strip).filter((other) => other !== card && other.class === card.class);

/** On a decided card: the same for the others of its strip. @param {Indication} card */
function drawSame(card) {
  const [latest] = isOpen(card) || !card.flagged || !mayDecide() ? [] : stateOf(patchSubject(card)).current;
  const others = latest ? othersLike(card) : [];
  if (!others.length) return [];
  const name = CLASSES[card.class].name;
  const button = make("button", {
    type: "button", className: "link same",
    textContent: plural(others.length, "The same for the other open {class} of this strip", "The same for the {n} other open {class} of this strip", { class: name }),
  });
  button.dataset.focus = "same";
  button.addEventListener("click", (event) => {
    const content = latest.kind === "reclass" ? { kind: latest.kind, class: latest.value } : { kind: latest.kind };
    askAndDecide(others, content, `${capital(outcomeOf(latest, card))}: ${plural(others.length, "{n} indication", "{n} indications")}`, isMouse(event));
  });
  return [button];
}

/** Which to confirm is asked for: all shown of a class, or those of the current strip. */
async function confirmSeveral() {
  if (!mayDecide()) return refuseViewer();
  const card = currentCard();
  const groups = [...shownByClass()];
  const choices = groups.map(([said, cards]) => ({
    cards, text: plural(cards.length, "{n} shown and open: confirm as {class}", "All {n} shown and open: confirm as {class}", { class: CLASSES[said].name }),
  }));
  if (groups.length > 1) {
    const cards = groups.flatMap(([, own]) => own);
    choices.push({ cards, text: say("All {n} shown and open: confirm each as its class", { n: number(cards.length) }) });
  }
  if (card && openOf(card.strip).some((other) => other.class === card.class)) {
    const cards = openOf(card.strip).filter((other) => other.class === card.class);
    const values = { class: CLASSES[card.class].name, strip: card.strip.strip_id };
    choices.push({ cards, text: plural(cards.length, "{n} open on strip {strip}: confirm as {class}", "All {n} open on strip {strip}: confirm as {class}", values) });
  }
  if (!choices.length) {
    announce(say("None of those shown is open."));
    return false;
  }
  const group = make("fieldset", { className: "choices" }, make("legend", { className: "quiet", textContent: say("Which ones") }));
  for (const [index, { text }] of choices.entries()) {
    group.append(make("label", {}, make("input", { type: "radio", name: "several", value: String(index), checked: index === 0 }), ` ${text}`));
  }
  return askAndDecide(() => choices[Number(find("input:checked", group).value)].cards, { kind: "confirm" }, say("Confirm several"), false, [group]);
}

/**
 * @param {Indication[] | (() => Indication[])} chosen   asked for after the answer
 * @param {Content} content
 */
async function askAndDecide(chosen, content, title, mouse, extra = []) {
  const reviewer = await whoDecides();
  if (!reviewer) return false;
  const reason = await askFor({
    title, label: say("Reason for all of them, if there is one"), act: say("Decide"), needed: "", extra,
    text: say("Each gets a decision of its own, signed by {name}. One undo (u) withdraws all.", { name: reviewer }),
  });
  if (reason === null) return false;
  const cards = typeof chosen === "function" ? chosen() : chosen;
  const made = append(cards.map((card) => ({ subject: patchSubject(card), content })), reviewer, reason);
  showDecided(stripsOf(made));
  const rest = goOn(currentCard(), { mouse, advance: true });
  remember(made, cards[0]);
  announce(`${plural(made.length, "{n} indication decided: u withdraws it.", "{n} indications decided: u withdraws all of them.")} ${rest}`);
  return true;
}
