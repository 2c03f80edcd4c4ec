"use strict";
// Decisions: appended, never overwritten; what holds is worked out from them (docs/review.md).
//
// Opened from disk, the page keeps them in the browser and exports them as a file for
// `defect-inspect review import`. Opened through the review server, they go there at once.

const FORMAT = "steel-sise decisions 1";
/** @type {State} */
const OPEN = Object.freeze({ status: "open", current: [], tips: [] });
const SHELF = `steel-sise decision ${REPORT.batch.fingerprint}`;
const MARKED = `steel-sise exported ${REPORT.batch.fingerprint}`;
const NAME_SHELF = "steel-sise reviewer";

const served = location.protocol.startsWith("http") && location.pathname.match(/\/reports\/(\d+)\/[^/]*$/);
let server = served ? `../../api/batches/${served[1]}` : null;

// `left` counts the px of all rows of the strip, one row after another (docs/review.md).
const patchSubject = (card) => ({ strip: card.strip.strip_id, left: card.top * card.strip.width + card.left });
const stripSubject = (strip) => ({ strip: strip.strip_id, left: null });
/** @type {(subject: {strip: string, left?: number | null}) => string} */
const subjectKey = ({ strip, left }) => JSON.stringify([strip, left ?? null]);

/** @type {Map<string, State>} */
const states = new Map();
const stateOf = (subject) => states.get(subjectKey(subject)) ?? OPEN;
const statusOf = (subject) => stateOf(subject).status;

/** @type {Entry[]} */
let entries = [];
let exported = new Set();
let kept = true; // whether the browser keeps them when the page is closed

/**
 * What holds for one subject, from its decisions in their order.
 * @param {Entry[]} log
 * @returns {State}
 */
function settle(log) {
  const withdrawn = new Set();
  for (const entry of [...log].reverse()) {
    if (entry.kind === "undo" && !withdrawn.has(entry.id)) withdrawn.add(entry.undoes);
  }
  const behind = new Map();
  for (const entry of log) {
    const all = new Set(entry.in_view_of);
    for (const id of entry.in_view_of) for (const older of behind.get(id) ?? []) all.add(older);
    behind.set(entry.id, all);
  }
  const standing = log.filter((entry) => entry.kind !== "undo" && !withdrawn.has(entry.id));
  const replaced = new Set(standing.flatMap((entry) => [...behind.get(entry.id)]));
  const current = standing.filter((entry) => !replaced.has(entry.id));
  const seen = new Set(log.flatMap((entry) => entry.in_view_of));
  const outcomes = new Set(current.map((entry) => `${entry.kind} ${entry.class ?? entry.disposition ?? ""}`));
  return {
    status: outcomes.size === 0 ? "open" : outcomes.size === 1 ? "decided" : "disputed",
    current: current.map((entry) => ({ ...entry, value: entry.class ?? entry.disposition ?? "" })),
    tips: log.filter((entry) => !seen.has(entry.id)).map((entry) => entry.id),
  };
}

function settleAll() {
  /** @type {Map<string, Entry[]>} */
  const logs = new Map();
  for (const entry of entries) {
    const key = subjectKey(entry);
    logs.set(key, [...(logs.get(key) ?? []), entry]);
  }
  for (const [key, log] of logs) states.set(key, settle(log));
}

function take(found) {
  for (const state of found) states.set(subjectKey(state), state);
}

/** The decisions that the browser keeps, one a key: what two tabs add at once cannot collide. */
function readShelf() {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(`${SHELF} `));
    entries = names.map((name) => JSON.parse(localStorage.getItem(name) ?? "null"));
    exported = new Set(JSON.parse(localStorage.getItem(MARKED) ?? "[]"));
    inOrder();
  } catch {
    kept = false;
  }
}

/** By time; of two made in the same moment, the one in sight of the other comes first. */
function inOrder() {
  const before = (a, b) => Number(a.in_view_of.includes(b.id)) - Number(b.in_view_of.includes(a.id));
  entries.sort((a, b) => a.time.localeCompare(b.time) || before(a, b));
}

function keep(name, content) {
  try {
    localStorage.setItem(name, JSON.stringify(content));
  } catch {
    kept = false;
  }
}

/** Fetch or read the decisions there are; resolves to what is wrong, "" if nothing. */
async function openLedger() {
  try {
    if (server) take(await ask(`${server}/states`));
  } catch (error) {
    // Some other server that has a folder of this name: the page is as it is from disk.
    const { status, message } = /** @type {Error & {status?: number}} */ (error);
    if (status === 404) server = null;
    else return `The review server does not answer (${message}): decisions cannot be stored now.`;
  }
  if (!server) {
    readShelf();
    settleAll();
  }
  return "";
}

/** Take in what others decided meanwhile; resolves to whether that was asked of a server. */
async function renewLedger() {
  if (!server) return false;
  try {
    take(await ask(`${server}/states`));
  } catch {
    return false; // the next decision will say what is wrong
  }
  return true;
}

async function ask(address, body) {
  const answer = await fetch(address, body && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  if (answer.status === 401) throw new Error("the session has ended: sign in again in another tab");
  if (!answer.ok) {
    const text = (await answer.text()).slice(0, 500) || `status ${answer.status}`;
    throw Object.assign(new Error(text), { status: answer.status });
  }
  return answer.json();
}

function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID(); // not there on plain HTTP
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

/** Append a decision on a subject; resolves when it is stored. */
async function append(subject, content, reviewer, reason) {
  const seen = new Set(stateOf(subject).tips);
  if (content.undoes) seen.add(content.undoes);
  const entry = {
    id: uuid(), ...content, strip: subject.strip, ...(subject.left === null ? {} : { left: subject.left }),
    reviewer, time: new Date().toISOString(), reason, in_view_of: [...seen],
  };
  if (server) {
    take((await ask(`${server}/decisions`, { decisions: [entry] })).states);
    return;
  }
  entries.push(entry);
  keep(`${SHELF} ${entry.id}`, entry);
  settleAll();
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

function savedName() {
  try {
    return localStorage.getItem(NAME_SHELF) ?? "";
  } catch {
    return "";
  }
}

function saveName(name) {
  try {
    localStorage.setItem(NAME_SHELF, name);
  } catch {
    // Then it is typed again next time.
  }
}

/** Call `tell(strip)` when another tab decides about a strip. */
function watchOtherTabs(tell) {
  addEventListener("storage", ({ key, newValue }) => {
    if (server || !key?.startsWith(`${SHELF} `) || !newValue) return;
    const entry = JSON.parse(newValue);
    if (entries.some((known) => known.id === entry.id)) return;
    entries.push(entry);
    inOrder();
    settleAll();
    tell(entry.strip);
  });
}

addEventListener("beforeunload", (event) => {
  if (!server && !kept && unexported()) event.preventDefault();
});
