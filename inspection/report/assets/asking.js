"use strict";
// A question in a small dialog: Enter answers it, Escape leaves it.

const PAUSE_MS = 600;
let lastKey = -Infinity; // when the last key was pressed outside the dialog

/**
 * Resolves to what was entered, or to null where the question was left.
 * @param {{title: string, text?: string, label: string, act: string, needed: string, longest?: number,
 *          extra?: HTMLElement[], offer?: string}} question   `needed` is said where nothing was
 *   entered, "" where that will do; `offer` an answer that a button gives
 * @returns {Promise<string | null>}
 */
function askFor({ title, text = "", label, act, needed, longest = 2000, extra = [], offer = "" }) {
  const dialog = find("#ask");
  const input = find("input.answer", dialog);
  const form = find("form", dialog);
  find("h2", dialog).textContent = title;
  write(dialog, "text", text);
  write(dialog, "label", label);
  write(dialog, "lack", "");
  slot(dialog, "extra").replaceChildren(...extra);
  find("[type=submit]", dialog).textContent = act;
  input.value = "";
  input.maxLength = longest;
  const other = find("[data-act=offer]", dialog);
  other.hidden = !offer;
  other.textContent = offer;
  return new Promise((answer) => {
    const give = (given) => {
      answer(given); // at once: the event `close` may come after the next key
      dialog.close();
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      const given = input.value.trim();
      if (given || !needed) {
        give(given);
        return;
      }
      write(dialog, "lack", needed);
      input.focus();
    };
    other.onclick = () => give(offer);
    dialog.onclose = () => answer(null);
    dialog.showModal();
    input.focus();
  });
}

/** Keys that follow a decision in haste are decisions, too: none of them answers the question. */
addEventListener("keydown", (event) => {
  const now = performance.now();
  const hasty = now - lastKey < PAUSE_MS;
  if (hasty || !find("#ask").open) lastKey = now;
  if (hasty && find("#ask").open && event.key !== "Escape") event.preventDefault();
}, { capture: true });
