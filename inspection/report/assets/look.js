"use strict";
// One patch, close: the dialog, its tools and the decision.

function openLook(card) {
  const dialog = find("#look");
  lookAt(card);
  if (!dialog.open) dialog.showModal();
  showScale();
  find(".pane", dialog).focus();
}

/** Another indication, with the same tools. */
function lookAt(card) {
  const { strip } = card;
  Object.assign(LOOK, { card, line: null }, middleOf(card));
  LOOK.around &&= Boolean(strip.raw_path);
  LOOK.second &&= Boolean(card.runner_up);
  const dialog = find("#look");
  find("h2", dialog).textContent = say("{class}, {probability} · No. {n} · {strip}, {place}", {
    class: CLASSES[card.class].name, probability: probability(card.score), n: card.number, strip: strip.strip_id, place: placeOf(card),
  });
  find("[data-act=around]", dialog).hidden = !strip.raw_path;
  find("[data-act=second]", dialog).hidden = !card.runner_up;
  showPanes();
  showLookDecision();
}

/** Where to look first, px of the strip: at the marked area, else at the patch. */
function middleOf(card) {
  const [left, top, width, height] = card.region_area === null
    ? [0, 0, card.size, card.size] : [card.region_left, card.region_top, card.region_width, card.region_height];
  return { x: card.left + left + width / 2, y: card.top + top + height / 2 };
}

function showPanes() {
  const { card, second } = LOOK;
  const pictures = picturesOf(card, second);
  const holder = find("#look .panes");
  const focused = every(".pane", holder).indexOf(document.activeElement);
  holder.replaceChildren(...pictures.map((figure) => drawPane(card, figure)));
  showScale();
  if (focused >= 0) (every(".pane", holder)[focused] ?? find(".pane", holder)).focus();
}

/** The decision on what is looked at, where it changed. */
function showLookDecision() {
  const dialog = find("#look");
  const holder = slot(dialog, "decide");
  const card = /** @type {any} */ (LOOK.card);
  if (!card) return;
  const focused = find("[data-focus]:focus", holder)?.dataset.focus;
  holder.replaceChildren(drawDecide(card.strip, card));
  if (focused) find(`[data-focus="${focused}"]`, holder)?.focus();
}

function setLight(dialog) {
  for (const name of ["contrast", "brightness", "overlay"]) {
    dialog.style.setProperty(`--${name}`, String(find(`[name=${name}]`, dialog).value / 100));
  }
}

function wireLook() {
  const dialog = find("#look");
  const acts = {
    previous: () => step(-1),
    next: () => step(1),
    around: () => {
      Object.assign(LOOK, { around: !LOOK.around, zoom: "fit" });
      showPanes();
    },
    second: () => {
      LOOK.second = !LOOK.second;
      showPanes();
    },
    measure: () => {
      Object.assign(LOOK, { measuring: !LOOK.measuring, line: null });
      showScale();
    },
    plain: () => {
      for (const input of every("input[type=range]", dialog)) input.value = "100";
      setLight(dialog);
    },
  };
  for (const [name, act] of Object.entries(acts)) find(`[data-act=${name}]`, dialog).addEventListener("click", act);
  for (const button of every("[data-zoom]", dialog)) {
    const { zoom } = button.dataset;
    button.addEventListener("click", () => zoomTo(find(".pane", dialog), zoom === "fit" ? zoom : Number(zoom)));
  }
  for (const input of every("input[type=range]", dialog)) input.addEventListener("input", () => setLight(dialog));
  dialog.addEventListener("keydown", (event) => {
    if (STATE.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=range])")) return;
    if (event.key !== "j" && event.key !== "k") return;
    event.stopPropagation(); // its target is about to go
    step(event.key === "j" ? 1 : -1);
  });
  // Whatever makes another indication the current one, here or by a decision, shows that.
  watch((changed) => {
    const card = currentCard();
    if (changed.has("card") && dialog.open && card) lookAt(card);
  });
  dialog.addEventListener("close", () => {
    const card = LOOK.card;
    LOOK.card = null;
    if (card) go(card);
  });
  new ResizeObserver(showScale).observe(find(".panes", dialog));
}

/** Enter on the card itself looks closer. */
addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.target instanceof Element) || !event.target.matches(".card")) return;
  const card = currentCard();
  if (card) openLook(card);
});

wireLook();
