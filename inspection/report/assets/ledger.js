"use strict";
// Decisions: appended, never overwritten; what holds is worked out from them (docs/review.md).
//
// Opened from disk, the page keeps them in the browser and exports them as a file for
// `defect-inspect review import`. Opened through the review server, queue.js sends them there.

const FORMAT = "steel-sise decisions 1";
const SHELF = `steel-sise decision ${REPORT.batch.fingerprint}`;
const MARKED = `steel-sise exported ${REPORT.batch.fingerprint}`;

const served = location.protocol.startsWith("http") && location.pathname.match(/\/reports\/(\d+)\/[^/]*$/);
let server = served ? `../../api/batches/${served[1]}` : null;

/** @type {(subject: {strip: string, left?: number | null, key?: string}) => string} */
const subjectKey = ({ strip, left, key }) => key ?? JSON.stringify([strip, left ?? null]);
/** @type {(strip: string, left: number | null) => Subject} */
const subjectOf = (strip, left) => ({ strip, left, key: subjectKey({ strip, left }) });
// `left` counts the px of all rows of the strip, one row after another (docs/review.md).
for (const card of CARDS) {
  card.subject = subjectOf(card.strip.strip_id, card.top * card.strip.width + card.left);
}
for (const strip of STRIPS) {
  strip.subject = subjectOf(strip.strip_id, null);
}
/** @type {(card: Indication) => Subject} */
const patchSubject = (card) => card.subject;
/** @type {(strip: Strip) => Subject} */
const stripSubject = (strip) => strip.subject;
const BY_NAME = new Map(STRIPS.map((strip) => [strip.strip_id, strip]));

/** What holds, as the review told it, or this browser's own log says. @type {Map<string, State>} */
const stored = new Map();
/** The same with what waits to be sent. @type {Map<string, State>} */
const states = new Map();
const stateOf = (subject) => states.get(subjectKey(subject)) ?? OPEN;
const statusOf = (subject) => stateOf(subject).status;
/** What is disputed is open: docs/review.md. */
const isOpen = (card) => statusOf(patchSubject(card)) !== "decided";
/** @type {(strip: Strip) => Indication[]} */
const openOf = (strip) => strip.cards.filter((card) => card.flagged && isOpen(card));

/** @type {Entry[]} */
const entries = [];
/** Those of each subject. @type {Map<string, Entry[]>} */
const logs = new Map();
let exported = new Set();
let trouble = ""; // why what others decided is not known
let kept = true; // whether the browser keeps them when the page is closed

/** Work out anew what holds for subjects, by their keys. */
function settleKeys(keys) {
  for (const key of keys) {
    if (!server) stored.set(key, settle(logs.get(key) ?? []));
    states.set(key, withWaiting(stored.get(key) ?? OPEN, waitingFor(key)));
  }
}

/** Take in the states that the review told. @param {(State & {strip: string, left: number | null})[]} found */
function take(found) {
  const keys = found.map((state) => subjectKey(state));
  for (const [index, key] of keys.entries()) stored.set(key, found[index]);
  settleKeys(keys);
}

/** Put decisions into the log of this browser; those that it has are passed over. @param {Entry[]} made */
function shelve(made) {
  const known = new Set(entries.map((entry) => entry.id));
  const fresh = made.filter((entry) => !known.has(entry.id));
  entries.push(...fresh);
  inOrder(entries);
  const keys = new Set(fresh.map(subjectKey));
  for (const entry of fresh) {
    const key = subjectKey(entry);
    if (!logs.has(key)) logs.set(key, []);
    logs.get(key)?.push(entry);
  }
  for (const key of keys) inOrder(logs.get(key) ?? []);
  settleKeys(keys);
}

/** The decisions that the browser keeps, a key for each time that some were made: what two tabs add at once cannot collide. */
function readShelf() {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(`${SHELF} `));
    shelve(names.flatMap((name) => JSON.parse(localStorage.getItem(name) ?? "[]")));
    exported = new Set(JSON.parse(localStorage.getItem(MARKED) ?? "[]"));
  } catch {
    kept = false;
  }
}

/** By time; of two made in the same moment, the one in sight of the other comes first. @param {Entry[]} log */
function inOrder(log) {
  const before = (a, b) => Number(a.in_view_of.includes(b.id)) - Number(b.in_view_of.includes(a.id));
  log.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : before(a, b)));
}

/** Keep something in the browser; false if it refuses. */
function keep(name, content) {
  try {
    localStorage.setItem(name, JSON.stringify(content));
    return true;
  } catch {
    return false;
  }
}

function forget(name) {
  try {
    localStorage.removeItem(name);
  } catch {
    // Then nothing was kept.
  }
}

/** Fetch or read the decisions there are. */
async function openLedger() {
  if (typeof PRINTED !== "undefined") {
    server = null;
    shelve([...PRINTED.decisions]);
    return;
  }
  try {
    if (server) take(await ask(`${server}/states`));
  } catch (error) {
    // Some other server that has a folder of this name: the page is as it is from disk.
    if (/** @type {Refusal} */ (error).status === 404) server = null;
    else trouble = say("The review server does not answer: what others decided is not shown. Your decisions are kept here until it does.");
  }
  if (server) {
    await askWho();
    readQueue();
  } else {
    readShelf();
  }
}

/** Take in what others decided meanwhile; resolves to whether that was asked of a server. */
async function renewLedger() {
  if (!server || QUEUE.length) return false; // what is sent now is answered by newer states
  try {
    const found = await ask(`${server}/states`);
    if (QUEUE.length) return false;
    take(found);
    trouble = "";
    await askWho();
  } catch {
    return false; // the next decision will say what is wrong
  }
  return true;
}

/** Ask the server; rejects with a `Refusal`, whose status is 0 where it cannot be reached. */
async function ask(address, body) {
  const patience = 30000 + 20 * (body?.decisions.length ?? 0);
  const answer = await fetch(address, {
    signal: AbortSignal.timeout(patience),
    ...(body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  }).catch(() => {
    throw Object.assign(new Error(), { status: 0 });
  });
  if (answer.ok) return answer.json();
  throw Object.assign(new Error((await answer.text()).slice(0, 500)), { status: answer.status });
}

function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID(); // not there on plain HTTP
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

/**
 * Append decisions that one person made at once: they show at once, and are stored or queued.
 * @param {{subject: Subject, content: Content}[]} decisions
 * @returns {Entry[]}
 */
function append(decisions, reviewer, reason) {
  const time = new Date().toISOString();
  const saw = decisions.map(({ subject }) => stateOf(subject).current.map((entry) => entry.id));
  const made = decisions.map(({ subject, content }) => {
    const seen = new Set(stateOf(subject).tips);
    if (content.undoes) seen.add(content.undoes);
    return {
      id: uuid(), ...content, strip: subject.strip, ...(subject.left === null ? {} : { left: subject.left }),
      reviewer, time, reason, in_view_of: [...seen],
    };
  });
  if (server) {
    enqueue(made, saw);
  } else {
    kept = keep(`${SHELF} ${made[0].id}`, made) && kept;
    shelve(made);
    for (const entry of made) saved.add(subjectKey(entry));
  }
  return made;
}

const unexported = () => entries.filter((entry) => !exported.has(entry.id)).length;

/** The decision file: what `defect-inspect review import` takes in. */
function decisionFile() {
  return JSON.stringify({ format: FORMAT, batch: REPORT.batch, decisions: entries }, null, 1);
}

function exportDecisions() {
  const link = make("a", {
    href: URL.createObjectURL(new Blob([decisionFile()], { type: "application/json" })),
    download: `decisions-${REPORT.batch.name.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 80)}.json`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  exported = new Set(entries.map((entry) => entry.id));
  keep(MARKED, [...exported]);
}

/** Call `tell(strips)` when another tab decides about strips. */
function watchOtherTabs(tell) {
  addEventListener("storage", ({ key, newValue }) => {
    if (server || !key?.startsWith(`${SHELF} `) || !newValue) return;
    const made = [JSON.parse(newValue)].flat();
    shelve(made);
    tell(stripsOf(made));
  });
}

/** @type {(made: Entry[]) => Strip[]} */
const stripsOf = (made) => [...new Set(made.map((entry) => entry.strip))].flatMap((name) => BY_NAME.get(name) ?? []);

addEventListener("beforeunload", (event) => {
  if (server ? QUEUE.some((act) => !act.kept) : !kept && unexported()) event.preventDefault();
});
