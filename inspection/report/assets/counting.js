"use strict";
// How far people are: what is decided, what is not exported, what is not saved.

function showLedger() {
  const flagged = CARDS.filter((card) => card.flagged);
  const decided = flagged.filter((card) => !isOpen(card)).length;
  find("#progress").hidden = !flagged.length;
  find("#progress span").textContent = say("{decided} of {n} decided", { decided: number(decided), n: number(flagged.length) });
  Object.assign(find("#progress progress"), { max: Math.max(flagged.length, 1), value: decided });
  find("#export").hidden = Boolean(server);
  find("#export").disabled = !entries.length;
  find("#ledger").textContent = server ? savedWhere() : keptWhere();
}

const savedWhere = () => (QUEUE.length
  ? plural(QUEUE.reduce((sum, act) => sum + act.entries.length, 0), "{n} decision not saved yet.", "{n} decisions not saved yet.")
  : say("Decisions go to the review at once."));

function keptWhere() {
  const waits = unexported();
  return [
    plural(entries.length, "{n} decision", "{n} decisions"),
    waits ? say(", {n} not exported", { n: number(waits) }) : "",
    kept ? "." : say("; this browser keeps none: export before you close the page."),
  ].join("");
}
