"use strict";
// The controls with which people decide, on a patch and on its strip.

/** The class that the model gives a patch: normal, where it flags nothing. */
const saidOf = (card) => (card.flagged ? card.class : 0);

/** @type {Record<string, (entry: {value: string}, card: Indication | null) => string>} */
const OUTCOME = {
  confirm: (_, card) => `confirmed, ${CLASSES[saidOf(card)].name}`,
  reject: () => "no defect",
  reclass: (entry) => `it is ${entry.value}`,
  disposition: (entry) => entry.value,
};
const reasons = new Map(); // what is typed, while cards come and go

const patchActs = (card) => [
  { text: `Confirm ${CLASSES[saidOf(card)].name}`, short: "confirm", content: { kind: "confirm" } },
  ...(card.flagged ? [{ text: "No defect", short: "reject", content: { kind: "reject" } }] : []),
  ...CLASSES.map((cls, index) => ({ cls, index })).filter(({ index }) => index > 0 && index !== saidOf(card))
    .map(({ cls, index }) => ({
      text: `It is ${cls.name}`, short: `class-${index}`, glyph: index, content: { kind: "reclass", class: cls.name },
    })),
];
const stripActs = () => REPORT.dispositions.map((name) => ({
  text: name[0].toUpperCase() + name.slice(1), short: name, content: { kind: "disposition", disposition: name },
}));

/** Whether a decision is what an act would decide. */
const isAct = (entry, { content }) =>
  entry.kind === content.kind && entry.value === (content.class ?? content.disposition ?? "");

/** The controls of a strip, and of one of its patches. */
function drawDecide(strip, card = null) {
  const root = clone("decide-template");
  const verdict = slot(root, "verdict");
  if (card) {
    verdict.append(...patchActs(card).map((act) => actButton(act, patchSubject(card), strip, card)));
  } else {
    verdict.remove();
  }
  const group = slot(root, "disposition");
  find("[data-text=proposed]", group).textContent = strip.disposition;
  group.append(...stripActs().map((act) => actButton(act, stripSubject(strip), strip, card)));
  const subject = card ? patchSubject(card) : stripSubject(strip);
  const reason = find(".reason input", root);
  reason.value = reasons.get(subjectKey(subject)) ?? "";
  reason.dataset.focus = "reason";
  reason.addEventListener("input", () => reasons.set(subjectKey(subject), reason.value));
  const log = slot(root, "log");
  if (card) log.append(...drawLog(patchSubject(card), strip, card));
  log.append(...drawLog(stripSubject(strip), strip, card));
  log.hidden = !log.children.length;
  return root;
}

function actButton(act, subject, strip, card) {
  const chosen = stateOf(subject).current.some((entry) => isAct(entry, act));
  const button = make("button", { type: "button" });
  if (act.glyph) button.append(glyph(act.glyph), make("span", { className: "long", textContent: act.text }));
  else button.append(act.text);
  button.dataset.focus = act.short;
  button.classList.add(`act-${act.content.kind}`);
  if (act.content.disposition) button.classList.add(`d-${act.content.disposition}`);
  button.setAttribute("aria-pressed", String(chosen));
  button.addEventListener("click", () => decide(subject, act.content, strip, card));
  return button;
}

function drawLog(subject, strip, card) {
  const state = stateOf(subject);
  return state.current.map((entry) => {
    const text = make("span", {},
      make("b", { textContent: (subject.left === null ? "Strip: " : "Patch: ") + OUTCOME[entry.kind](entry, card) }),
      `, ${entry.reviewer}, ${entry.time.slice(0, 16).replace("T", " ")} UTC`);
    if (entry.reason) text.append(": ", make("q", { textContent: entry.reason }));
    const item = make("li", { className: state.status }, text);
    if (state.status === "disputed") item.prepend(make("strong", { textContent: "disputed " }));
    const undo = make("button", { type: "button", className: "link", textContent: "Undo" });
    undo.dataset.focus = `undo-${entry.id}`;
    undo.setAttribute("aria-label", `Undo: ${OUTCOME[entry.kind](entry, card)}`);
    undo.addEventListener("click", () => decide(subject, { kind: "undo", undoes: entry.id }, strip, card));
    item.append(" ", undo);
    return item;
  });
}

/**
 * Store a decision under the name in the toolbar, and show what holds now.
 * @param {Indication | null} card   on whose controls it was made, if on one's
 */
async function decide(subject, content, strip, card = null) {
  const name = find("#reviewer");
  const reviewer = name.value.trim();
  if (!reviewer) {
    refuse("Your name first: every decision is signed.");
    find("#viewer").close();
    name.focus();
    return false;
  }
  const typed = subjectKey(card ? patchSubject(card) : stripSubject(strip));
  try {
    await append(subject, content, reviewer, reasons.get(typed) ?? "");
  } catch (error) {
    refuse(`Not stored: ${/** @type {Error} */ (error).message}.`);
    return false;
  }
  reasons.delete(typed);
  refuse("");
  decided(strip);
  const what = content.kind === "undo" ? "undone"
    : OUTCOME[content.kind]({ value: content.class ?? content.disposition ?? "" }, card);
  announce(`${card && subject.left !== null ? `Number ${card.number}` : strip.strip_id}: ${what}`);
  return true;
}

function refuse(text) {
  const notice = find("#refusal");
  notice.textContent = text;
  notice.hidden = text === "";
}

/** Undo the latest decision on the card's patch; without one, that on its strip. */
function undoLatest(card) {
  for (const subject of [patchSubject(card), stripSubject(card.strip)]) {
    const latest = stateOf(subject).current.at(-1);
    if (latest) return decide(subject, { kind: "undo", undoes: latest.id }, card.strip, card);
  }
  return undefined;
}

/** The patch shows this class: that confirms the model's, or corrects it. */
function decideClass(card, index) {
  const content = index === saidOf(card) ? { kind: "confirm" } : { kind: "reclass", class: CLASSES[index].name };
  return decide(patchSubject(card), content, card.strip, card);
}
