"use strict";
// The controls with which people decide, on a patch and on its strip, and what was decided.

/** The class that the model gives a patch: normal, where it flags nothing. */
const saidOf = (card) => (card.flagged ? card.class : 0);

/** @type {Record<string, (entry: {value: string}, card: Indication | null) => string>} */
const OUTCOME = {
  confirm: (_, card) => (card ? say("confirmed, {class}", { class: CLASSES[saidOf(card)].name }) : say("confirmed")),
  reject: () => say("no defect"),
  reclass: (entry) => say("it is {class}", { class: calledOf(entry.value) }),
  disposition: (entry) => say(entry.value),
  undo: () => say("withdrawn"),
};
const outcomeOf = (entry, card) => OUTCOME[entry.kind](entry, card);
/** @type {Record<string, string>} */
const WITHDRAW = {
  confirm: word("Withdraw {name}'s confirmation"),
  reject: word("Withdraw {name}'s rejection"),
  reclass: word("Withdraw {name}'s class"),
  disposition: word("Withdraw {name}'s disposition"),
};
const reasons = new Map(); // what is typed, while cards come and go

/** @type {(card: Indication) => ActOf[]} */
const patchActs = (card) => [
  { text: say("Confirm {class}", { class: CLASSES[saidOf(card)].name }), short: "confirm", content: { kind: "confirm" } },
  ...(card.flagged ? [{ text: say("No defect"), short: "reject", content: { kind: "reject" } }] : []),
  ...CLASSES.map((cls, index) => ({ cls, index })).filter(({ index }) => index > 0 && index !== saidOf(card))
    .map(({ cls, index }) => ({
      text: say("It is {class}", { class: cls.name }), short: `class-${index}`, glyph: index, content: { kind: "reclass", class: cls.key },
    })),
];
/** @type {() => ActOf[]} */
const stripActs = () => REPORT.dispositions.map((name) => ({
  text: capital(say(name)), short: name, content: { kind: "disposition", disposition: name },
}));
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** Whether a decision is what an act would decide. */
const isAct = (entry, { content }) => entry.kind === content.kind && entry.value === valueOf(content);

/** The controls of a strip, and of one of its patches. */
function drawDecide(strip, card = null) {
  const root = clone("decide-template");
  const subject = card ? patchSubject(card) : stripSubject(strip);
  const verdict = slot(root, "verdict");
  if (card) verdict.append(...patchActs(card).map((act) => actButton(act, patchSubject(card), strip, card)));
  if (!card || !mayDecide()) verdict.remove();
  const group = slot(root, "disposition");
  find("[data-text=proposed]", group).textContent = say(strip.disposition);
  if (mayDecide()) group.append(...stripActs().map((act) => actButton(act, stripSubject(strip), strip, card)));
  const reason = find(".reason", root);
  if (mayDecide()) wireReason(find("input", reason), subject);
  else reason.remove();
  const log = slot(root, "log");
  if (card) log.append(...drawLog(patchSubject(card), strip, card));
  log.append(...drawLog(stripSubject(strip), strip, card));
  log.hidden = !log.children.length;
  if (card) log.before(...drawSame(card));
  log.before(drawProgress([...(card ? [patchSubject(card)] : []), stripSubject(strip)]));
  return root;
}

function wireReason(input, subject) {
  input.value = reasons.get(subjectKey(subject)) ?? "";
  input.dataset.focus = "reason";
  input.addEventListener("input", () => reasons.set(subjectKey(subject), input.value));
}

/** Whether what was decided here is saved. */
function drawProgress(subjects) {
  const told = subjects.map(progressOf).filter(Boolean);
  const line = make("p", { className: "saving", textContent: told.findLast((text) => text !== savedWord()) ?? told[0] ?? "" });
  line.hidden = !line.textContent;
  return line;
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
  button.addEventListener("click", (event) => decide(subject, act.content, strip, card, isMouse(event)));
  return button;
}

/** Whether a click came from a pointer, not from a key on a button. */
const isMouse = (event) => event.detail > 0;

function drawLog(subject, strip, card) {
  const { status, current } = stateOf(subject);
  const items = current.map((entry) => {
    const what = outcomeOf(entry, card);
    const text = make("span", {},
      make("b", { textContent: subject.left === null ? say("Strip: {what}", { what }) : say("Patch: {what}", { what }) }),
      `, ${entry.reviewer}, ${entry.time.slice(0, 16).replace("T", " ")} UTC`);
    if (entry.reason) text.append(": ", make("q", { textContent: entry.reason }));
    const item = make("li", { className: status }, text);
    if (mayDecide()) item.append(" ", undoButton(entry, what, subject, strip, card, status === "disputed"));
    return item;
  });
  if (status === "disputed") items.unshift(drawDispute(current));
  return items;
}

function undoButton(entry, what, subject, strip, card, disputed) {
  const text = disputed ? say(WITHDRAW[entry.kind], { name: entry.reviewer }) : say("Undo");
  const button = make("button", { type: "button", className: "link", textContent: text });
  button.dataset.focus = `undo-${entry.id}`;
  if (!disputed) button.setAttribute("aria-label", say("Undo: {what}", { what }));
  button.addEventListener("click", (event) => decide(subject, { kind: "undo", undoes: entry.id }, strip, card, isMouse(event)));
  return button;
}

/** A mark on the strip map, or in a strip's view, says when its patch is decided. */
function showMarkDecided(mark, card) {
  const { status, current } = stateOf(patchSubject(card));
  mark.classList.toggle("done", status === "decided");
  mark.classList.toggle("disputed", status === "disputed");
  if (status === "open") return;
  const what = status === "disputed" ? say("disputed") : outcomeOf(current.at(-1), card);
  mark.title += ` · ${what}`;
  mark.setAttribute("aria-label", `${mark.getAttribute("aria-label")}, ${what}`);
}

/** Says that people differ, and how that is settled; both sides follow. */
function drawDispute(current) {
  const names = new Set(current.map((entry) => entry.reviewer));
  return make("li", { className: "dispute" },
    make("strong", { textContent: names.size > 1 ? say("Disputed, so still open: these decisions differ.") : say("Two decisions of one person differ, so it is still open.") }), " ",
    say("To settle it, decide anew in view of them, or withdraw one."));
}
