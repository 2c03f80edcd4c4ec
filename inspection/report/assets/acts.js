"use strict";
// What is done when somebody decides, or takes back what was decided.

/** What was decided on this page and holds, the latest last: one undo withdraws an act as a whole.
 * @type {{entries: Entry[], card: Indication | null, at: string}[]} `at` is the card that was current then */
const done = [];

/**
 * Decide under the name of who is signed in, and go on; resolves to whether it was decided.
 * @param {Subject} subject
 * @param {Content} content
 * @param {Strip} strip
 * @param {Indication | null} card   on whose controls it was made, if on one's
 * @param {boolean} mouse   then nothing moves: it would move under the pointer
 */
async function decide(subject, content, strip, card = null, mouse = false) {
  if (!mayDecide()) return refuseViewer();
  const reviewer = await whoDecides();
  if (!reviewer) return false;
  const typed = subjectKey(card ? patchSubject(card) : stripSubject(strip));
  const known = !reasons.has(typed) && hasSaid(subject, content, reviewer);
  const reason = known ? "" : reasons.get(typed) || (await reasonFor(content, strip));
  if (reason === null) return false;
  const made = known ? [] : append([{ subject, content }], reviewer, reason);
  reasons.delete(typed);
  showDecided([strip]);
  const what = outcomeOf({ ...content, value: valueOf(content) }, card);
  const rest = goOn(card, { mouse, advance: subject.left !== null && content.kind !== "undo" });
  announce(`${card && subject.left !== null ? say("Number {n}", { n: card.number }) : strip.strip_id}: ${what}. ${rest}`);
  remember(made, card);
  return true;
}

/** Whether this holds already, by the same person: a double click is one decision. */
function hasSaid(subject, content, reviewer) {
  const { current } = stateOf(subject);
  return current.length === 1 && current[0].reviewer === reviewer && isAct(current[0], { content });
}

/** @param {Entry[]} made @param {Indication | null} card */
function remember(made, card) {
  const undone = new Set(made.map((entry) => entry.undoes));
  for (const act of done) act.entries = act.entries.filter((entry) => !undone.has(entry.id));
  done.splice(0, done.length, ...done.filter((act) => act.entries.length));
  if (made.some((entry) => entry.kind !== "undo")) done.push({ entries: made, card, at: STATE.card });
}

function refuseViewer() {
  announce(say("You may look at decisions, not make them."));
  return false;
}

/** A strip's disposition against the proposal, or before all is decided, needs a reason: resolves to
 * it, to "" where none is needed, to null where none was given. */
async function reasonFor(content, strip) {
  if (content.kind !== "disposition") return "";
  const flagged = strip.cards.filter((card) => card.flagged).length;
  const open = openOf(strip).length;
  const against = content.disposition !== strip.disposition;
  if (!open && !against) return "";
  const text = [
    open ? plural(flagged, "{open} of {n} indication on this strip is open.", "{open} of {n} indications on this strip are open.", { open: number(open) }) : "",
    against ? say("Proposed is: {disposition}.", { disposition: say(strip.disposition) }) : "",
  ].filter(Boolean).join(" ");
  return askFor({
    title: say("{disposition}: why?", { disposition: capital(say(content.disposition)) }), text,
    label: say("Reason"), act: capital(say(content.disposition)), needed: say("Please give a reason."),
  });
}

/** The patch shows this class: that confirms the model's, or corrects it. */
function decideClass(card, index) {
  /** @type {Content} */
  const content = index === saidOf(card) ? { kind: "confirm" } : { kind: "reclass", class: CLASSES[index].key };
  return decide(patchSubject(card), content, card.strip, card);
}

/** Undo what was decided last on this page, as a whole, where nobody has moved on since; else the latest
 * decision on the card's patch, or on its strip; where there is none, again the last on this page.
 * @param {Indication | null} card */
function undoLatest(card) {
  const last = done.at(-1);
  if (last && last.at === STATE.card) return undoAct(last);
  for (const subject of card ? [patchSubject(card), stripSubject(card.strip)] : []) {
    const latest = stateOf(subject).current.at(-1);
    if (latest && card) return decide(subject, { kind: "undo", undoes: latest.id }, card.strip, card);
  }
  if (last) return undoAct(last);
  announce(say("There is nothing to undo."));
  return undefined;
}

/** Withdraw all that was decided at once, as far as it still holds. */
async function undoAct(act) {
  if (!mayDecide()) return refuseViewer();
  const reviewer = await whoDecides();
  if (!reviewer) return false;
  const undone = act.entries.filter((entry) => stateOf(entry).current.some(({ id }) => id === entry.id));
  remember(act.entries.map((entry) => ({ ...entry, kind: "undo", undoes: entry.id })), null);
  if (!undone.length) return undoLatest(null);
  append(undone.map((entry) => ({ subject: subjectOf(entry.strip, entry.left ?? null), content: { kind: "undo", undoes: entry.id } })), reviewer, "");
  showDecided(stripsOf(undone));
  announce(undone.length > 1 ? plural(undone.length, "{n} decision withdrawn", "{n} decisions withdrawn") : `${act.card ? say("Number {n}", { n: act.card.number }) : undone[0].strip}: ${say("withdrawn")}`);
  goOn(null, {});
  if (act.card) go(act.card);
  return true;
}
