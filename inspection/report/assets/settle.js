"use strict";
// What holds for a patch or a strip, worked out from its decisions (docs/review.md).

/** @type {State} */
const OPEN = Object.freeze({ status: "open", current: [], tips: [] });

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
  const outcomes = new Set(current.map((entry) => `${entry.kind} ${valueOf(entry)}`));
  return {
    status: outcomes.size === 0 ? "open" : outcomes.size === 1 ? "decided" : "disputed",
    current: current.map((entry) => ({ ...entry, value: valueOf(entry) })),
    tips: log.filter((entry) => !seen.has(entry.id)).map((entry) => entry.id),
  };
}

/** @type {(entry: {class?: string, disposition?: string, value?: string}) => string} */
const valueOf = (entry) => entry.class ?? entry.disposition ?? entry.value ?? "";

/**
 * What will hold for a subject when what waits is sent; the review has the last word.
 * @param {State} state   as the review told it
 * @param {Waiting[]} waiting   in their order
 * @returns {State}
 */
function withWaiting(state, waiting) {
  const fresh = waiting.filter(({ entry }) => !state.tips.includes(entry.id));
  if (!fresh.length) return state;
  const now = settle([
    ...state.current.map((entry) => ({ ...entry, in_view_of: [] })),
    ...fresh.map(({ entry, saw }) => ({ ...entry, in_view_of: [...entry.in_view_of, ...saw] })),
  ]);
  const seen = new Set(fresh.flatMap(({ entry }) => entry.in_view_of));
  const tips = [...state.tips, ...fresh.map(({ entry }) => entry.id)].filter((id) => !seen.has(id));
  return { ...now, tips };
}
