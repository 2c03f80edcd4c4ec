"use strict";
// Decisions on their way to the review. What was decided at once is one act, which is kept in the
// browser from before it is sent until the review has it. So a lost network, a closed page and a
// refusal lose nothing, and sending again adds nothing: ids are made once.

const UNSENT = `steel-sise unsent ${REPORT.batch.fingerprint}`;
const LONGEST_WAIT_MS = 30000;
const MOST_TOGETHER = 500; // decisions a request, but for those that were made at once

/** Acts in their order. @type {Act[]} */
const QUEUE = [];
/** What waits about each subject, by its key. @type {Map<string, Waiting[]>} */
const waiting = new Map();
const saved = new Set(); // keys of the subjects about which the review took something from this page
let sending = false;
let alone = false; // whether acts are sent one by one, as one of several was refused
let failures = 0; // in a row
let signedOut = false; // then nothing is sent until somebody signs in, or asks for it
/** @type {ReturnType<typeof setTimeout> | undefined} */
let nextTry;

const waitingFor = (key) => waiting.get(key) ?? [];

function enqueue(made, saw) {
  const act = { name: `${UNSENT} ${made[0].time} ${made[0].id}`, entries: made, saw, kept: true, refused: "" };
  act.kept = keep(act.name, { entries: made, saw });
  QUEUE.push(act);
  settleWaiting([act]);
  send();
}

/** What an earlier page, or another tab, could not send. */
function readQueue() {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(`${UNSENT} `)).sort();
    for (const name of names) QUEUE.push({ name, ...JSON.parse(localStorage.getItem(name) ?? ""), kept: true, refused: "" });
  } catch {
    // A browser that keeps nothing has kept nothing.
  }
  settleWaiting(QUEUE);
  send();
}

/** Work out what acts change, which came into the queue or left it. @param {Act[]} acts */
function settleWaiting(acts) {
  const keys = new Set(acts.flatMap((act) => act.entries.map(subjectKey)));
  for (const key of keys) waiting.delete(key);
  for (const { entries: made, saw } of QUEUE) {
    for (const [index, entry] of made.entries()) {
      const key = subjectKey(entry);
      if (keys.has(key)) waiting.set(key, [...waitingFor(key), { entry, saw: saw[index] }]);
    }
  }
  settleKeys(keys);
}

/** The first acts that may be sent together: none that was refused, or is about what a refused one is about. */
function nextActs() {
  const blocked = new Set();
  const acts = [];
  let count = 0;
  for (const act of signedOut ? [] : QUEUE) {
    const keys = act.entries.map(subjectKey);
    act.refused ||= isOurs(act) ? "" : say("It was decided by {name}, who is not signed in.", { name: act.entries[0].reviewer });
    if (act.refused || keys.some((key) => blocked.has(key))) {
      for (const key of keys) blocked.add(key);
    } else {
      count += keys.length;
      if (acts.length && (alone || count > MOST_TOGETHER)) break;
      acts.push(act);
    }
  }
  return acts;
}

/** Nobody sends under another's name. @param {Act} act */
const isOurs = (act) => !me.name || act.entries[0].reviewer === me.name;

/** Send what waits, one request after the other. */
async function send() {
  clearTimeout(nextTry);
  if (sending || !server) return;
  sending = true;
  for (let acts = nextActs(); acts.length; acts = nextActs()) {
    const made = acts.flatMap((act) => act.entries);
    try {
      const { states: found } = await ask(`${server}/decisions`, { decisions: made });
      failures = 0;
      leave(acts);
      for (const entry of made) saved.add(subjectKey(entry));
      take(found);
      if (trouble) renew();
    } catch (error) {
      if (!refuses(acts, /** @type {Refusal} */ (error))) break;
    }
    alone = acts.some((act) => QUEUE.includes(act) && !act.refused); // then one of them was refused
    showActs(acts);
  }
  sending = false;
  showQueue();
}

/** Note why acts were not stored; whether that is for good, not for a while. @param {Act[]} acts @param {Refusal} error */
function refuses(acts, { status, message }) {
  signedOut = status === 401;
  if (status >= 400 && status < 500 && ![401, 408, 429].includes(status)) {
    if (acts.length === 1) acts[0].refused = message || String(status);
    return true;
  }
  failures += 1;
  if (!signedOut) nextTry = setTimeout(send, Math.min(1000 * 2 ** (failures - 1), LONGEST_WAIT_MS));
  showActs(QUEUE);
  return false;
}

/** @param {Act[]} acts */
function leave(acts) {
  const gone = new Set(acts);
  QUEUE.splice(0, QUEUE.length, ...QUEUE.filter((act) => !gone.has(act)));
  for (const act of acts) forget(act.name);
  settleWaiting(acts);
}

function sendAgain() {
  signedOut = false;
  for (const act of QUEUE) act.refused = "";
  showActs(QUEUE);
  send();
}

/** Drop an act for good. What was decided after it stays, in view of what it was in view of. @param {Act} act */
function discard(act) {
  const gone = new Map(act.entries.map((entry) => [entry.id, entry.in_view_of]));
  leave([act]);
  for (const later of [...QUEUE]) {
    const left = later.entries.filter((entry) => !gone.has(entry.undoes ?? ""));
    if (left.length === later.entries.length && !left.some((entry) => entry.in_view_of.some((id) => gone.has(id)))) continue;
    later.saw = later.saw.filter((_, index) => left.includes(later.entries[index]));
    for (const entry of later.entries) if (!left.includes(entry)) gone.set(entry.id, entry.in_view_of);
    for (const entry of left) entry.in_view_of = [...new Set(entry.in_view_of.flatMap((id) => gone.get(id) ?? [id]))];
    later.entries = left;
    if (!left.length) leave([later]);
    else later.kept = keep(later.name, { entries: left, saw: later.saw });
  }
  showActs([act]);
  send();
}

/** How far the latest decision about a subject has come; "" where none was made here. */
function progressOf(subject) {
  const key = subjectKey(subject);
  if (!waiting.has(key)) return saved.has(key) ? savedWord() : "";
  const act = QUEUE.findLast((one) => one.entries.some((entry) => subjectKey(entry) === key));
  if (act?.refused) return say("Not saved: {reason}", { reason: act.refused });
  if (!failures && !signedOut) return say("Saving …");
  return act?.kept ? say("Not saved: kept here, will retry") : say("Not saved: will retry while this page is open");
}

const savedWord = () => (server ? say("Saved") : kept ? say("Saved in this browser") : say("Not saved: export before you close the page"));

/** Above the list: what is not saved, why, and what can be done. */
function showQueue() {
  const box = find("#unsent");
  const refused = QUEUE.filter((act) => act.refused);
  const lines = trouble ? [make("p", { textContent: trouble })] : [];
  if (QUEUE.length && (failures || signedOut)) {
    const count = QUEUE.reduce((sum, act) => sum + act.entries.length, 0);
    const why = signedOut ? say("You are signed out. Sign in again in another tab, then send again.")
      : say("The review server cannot be reached. Is it running, and the network up? It is tried again by itself.");
    lines.push(make("p", {}, make("b", { textContent: plural(count, "{n} decision is not saved.", "{n} decisions are not saved.") }), ` ${why} `,
      QUEUE.every((act) => act.kept) ? say("Nothing is lost when you close the page.") : say("Do not close the page: this browser keeps nothing."), " ",
      ...(signedOut ? [make("a", { href: "../../login", target: "_blank", textContent: say("Sign in") }), " "] : []),
      linkButton(say("Send again now"), sendAgain)));
  }
  for (const act of refused.slice(0, 5)) {
    lines.push(make("p", {}, make("b", { textContent: say("Not saved: {reason}", { reason: act.refused }) }), ` ${whatOf(act)} `,
      linkButton(say("Send again"), sendAgain), " ", linkButton(say("Discard"), () => discard(act))));
  }
  if (refused.length > 5) lines.push(make("p", { textContent: plural(refused.length - 5, "{n} more is refused.", "{n} more are refused.") }));
  if (box.textContent !== make("div", {}, ...lines.map((line) => line.cloneNode(true))).textContent) box.replaceChildren(...lines);
  box.hidden = !lines.length;
}

function linkButton(text, act) {
  const button = make("button", { type: "button", className: "link", textContent: text });
  button.addEventListener("click", act);
  return button;
}

/** @param {Act} act */
function whatOf({ entries: made }) {
  const [first] = made;
  if (made.length > 1) return plural(made.length, "{n} decision at once", "{n} decisions at once");
  const card = BY_NAME.get(first.strip)?.cards.find((one) => patchSubject(one).left === first.left);
  return `${card ? say("Number {n}", { n: card.number }) : first.strip}: ${outcomeOf({ ...first, value: valueOf(first) }, card ?? null)}, ${first.reviewer}`;
}

/** Whoever comes back, or has a network again, need not wait; who signed in elsewhere, neither. */
async function comeBack() {
  showSigner(); // the shift may have ended
  if (signedOut && (await askWho())) sendAgain();
  else send();
}

addEventListener("storage", ({ key, newValue }) => {
  if (!server || !key?.startsWith(`${UNSENT} `) || newValue) return;
  const act = QUEUE.find((one) => one.name === key); // another tab sent it
  if (!act || sending) return;
  leave([act]);
  for (const entry of act.entries) saved.add(subjectKey(entry));
  showActs([act]);
});
