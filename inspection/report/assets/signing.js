"use strict";
// Who decides: the name that the review server knows, or the one that was entered for this shift.

const NAME_SHELF = "steel-sise reviewer";
const SHIFT_MS = 8 * 3600 * 1000;

/** Who is signed in at the server; no name where it knows nobody. */
let me = { name: "", role: "reviewer" };
/** @type {{name: string, since: number}} */
let entered = { name: "", since: 0 };

/** Ask the server who is signed in; resolves to whether it let us in. */
async function askWho() {
  try {
    me = await ask("../../api/me");
  } catch (error) {
    if (/** @type {Refusal} */ (error).status !== 404) return false;
    me = { name: "", role: "reviewer" };
  }
  showSigner();
  return true;
}

const mayDecide = () => me.role !== "viewer";

/** The name that decisions get now, "" where it must be asked for. */
function signer() {
  if (me.name) return me.name;
  return Date.now() - entered.since < SHIFT_MS ? entered.name : "";
}

function readName() {
  try {
    const found = JSON.parse(localStorage.getItem(NAME_SHELF) ?? "null");
    if (found?.name) entered = found;
  } catch {
    // Kept by an older version, or nothing kept: the name is asked for.
  }
}

function signAs(name) {
  entered = { name: name.replace(/\s+/g, " "), since: Date.now() };
  keep(NAME_SHELF, entered);
  showSigner();
}

/** The name to decide under; asks for it where there is none. Resolves to "" if that was left. */
async function whoDecides() {
  return signer() || askName();
}

async function askName() {
  const former = entered.name && !signer() ? entered.name : "";
  const name = await askFor({
    title: say("Who decides?"),
    text: former ? say("The name of the last shift was {name}. Every decision is signed.", { name: former }) : say("Every decision is signed."),
    label: say("Your name"), act: say("Sign"), needed: say("Please enter your name."), longest: 200, offer: former,
  });
  if (name) signAs(name);
  return signer();
}

/** The chip in the toolbar. */
function showSigner() {
  const chip = find("#signer");
  const name = signer();
  if (me.name) chip.replaceChildren(make("span", { className: "signed", title: say("Signed in at the review server"), textContent: me.name }));
  else {
    const button = make("button", { type: "button", className: "signed", textContent: name ? say("{name} · not you?", { name }) : say("Sign decisions as …") });
    button.addEventListener("click", async () => {
      await askName();
      find("#signer button")?.focus({ preventScroll: true });
    });
    chip.replaceChildren(button);
  }
  if (!mayDecide()) chip.append(" ", make("span", { className: "muted", textContent: say("may look, not decide") }));
}
