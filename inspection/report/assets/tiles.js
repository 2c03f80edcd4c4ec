"use strict";
// The probabilities of every patch of the strip in the viewer, from data/tiles-N.js when asked for.

/** @type {Map<number, any[]>} */
const tileFiles = new Map();
let tilesShown = false;

/** Called by data/tiles-N.js: the patches of the N-th `REPORT.stripsPerFile` strips, as columns. */
function takeTiles(index, columns) {
  tileFiles.set(index, rowsOf(columns));
}

/** @type {(strip: Strip) => Promise<Tile[]>} */
async function tilesOf(strip) {
  const index = Math.floor(strip.index / REPORT.stripsPerFile);
  // A page from disk can load scripts and no other data.
  if (!tileFiles.has(index)) {
    await new Promise((resolve, reject) => {
      const script = make("script", { src: `data/tiles-${index}.js`, onload: resolve, onerror: reject });
      document.head.append(script);
    });
  }
  const own = (tileFiles.get(index) ?? []).filter((row) => row.strip === strip.index);
  return own.map((row) => ({ ...row, strip, right: row.left + row.size, bottom: row.top + row.size }));
}

/**
 * Show or hide the probabilities over the strip in the viewer; the patch `at` gets the focus.
 * @type {(shown: boolean, at?: {left: number, top: number} | null) => Promise<void>}
 */
async function showTiles(shown, at = null) {
  tilesShown = shown;
  const dialog = find("#viewer");
  const holder = find(".tiles", dialog);
  find("[data-act=tiles]", dialog).setAttribute("aria-pressed", String(shown));
  find(".marks", dialog).hidden = shown;
  holder.hidden = !shown;
  const told = find(".tile-told", dialog);
  told.hidden = !shown;
  const strip = viewed;
  if (!shown || !strip) return;
  holder.replaceChildren();
  told.textContent = say("Loading …");
  try {
    const tiles = await tilesOf(strip);
    if (viewed !== strip) return;
    holder.replaceChildren(...tiles.map(drawTile));
    told.textContent = say("Point at a patch, or go through them by the arrow keys: here are the probabilities of its classes.");
    const chosen = tiles.findIndex((tile) => at && tile.left === at.left && tile.top === at.top);
    if (chosen >= 0) holder.children[chosen].focus({ preventScroll: true });
  } catch {
    told.textContent = say("The probabilities cannot be loaded: the report's folder data is not complete.");
  }
}

/** The place of the most likely class. */
const likeliest = (tile) =>
  CLASSES.reduce((best, { column }, index) => (tile[column] > tile[CLASSES[best].column] ? index : best), 0);

function tileWords(tile) {
  if (!tile.steel) return say("contains no steel, not judged");
  const { name, column } = CLASSES[likeliest(tile)];
  return say("classified as {name}, {probability}", { name, probability: probability(tile[column]) });
}

function drawTile(tile, place) {
  const best = CLASSES[likeliest(tile)];
  const button = make("button", { type: "button", className: `tile k${best.style}`, tabIndex: place ? -1 : 0 },
    make("span", { textContent: tile.steel ? `${best.name} ${probability(tile[best.column])}` : say("no steel") }));
  button.classList.toggle("flagged", tile.flagged);
  button.classList.toggle("near", tile.near);
  button.setAttribute("aria-label", `${placeOf(tile)}: ${tileWords(tile)}`);
  layOver(button, tile);
  // A pointer that only lies where the dialog opens does not point at anything.
  for (const event of ["focus", "pointermove"]) button.addEventListener(event, () => tellTile(tile));
  return button;
}

function tellTile(tile) {
  const told = find("#viewer .tile-told");
  const lead = `${placeOf(tile)}: ${tileWords(tile)}`;
  if (!tile.steel) {
    told.textContent = `${lead}.`;
    return;
  }
  const normal = CLASSES.find(({ style }) => style === 0).column;
  const shares = CLASSES.map(({ name, column }) => `${name} ${probability(tile[column])}`).join(", ");
  const any = say("any defect {probability}, which flags from {threshold} on",
    { probability: probability(1 - tile[normal]), threshold: percent(REPORT.anyDefect, REPORT.anyDefect * 100 % 1 ? 2 : 0) });
  const verdict = tile.flagged ? say("flagged") : tile.near ? say("not flagged, but unsure") : say("not flagged");
  told.textContent = `${lead}, ${verdict}. ${shares}; ${any}.`;
}

/** Arrow keys go from patch to patch. */
function stepTile(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.code];
  const tiles = every("#viewer .tile");
  if (!by || !tiles.includes(event.target)) return;
  event.preventDefault();
  tiles[tiles.indexOf(event.target) + by]?.focus();
}

function wireTiles() {
  const dialog = find("#viewer");
  find("[data-act=tiles]", dialog).addEventListener("click", () => showTiles(!tilesShown));
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const writing = event.target.closest("input:not([type=range]), select, textarea");
    if (keyOf(event) === "p" && STATE.keys === "on" && !writing && viewed?.inspected) {
      event.preventDefault();
      if (!event.repeat) showTiles(!tilesShown);
    } else {
      stepTile(event);
    }
  });
  for (const button of every(".near [data-strip]")) {
    const { strip, left, top } = button.dataset;
    button.addEventListener("click", () => openViewer(STRIPS[strip], { left: Number(left), top: Number(top) }, true));
  }
}
