"use strict";
// Pictures of one patch, side by side, that are enlarged, moved and measured together, in px of the
// strip, so that the steel around the patch can be shown as well.

const NUDGE = 32; // px on the screen that an arrow key moves
const LARGEST = 16;

/**
 * What is looked at, and how; `x`, `y` is the place in the middle, px of the strip.
 * @type {{card: Indication | null, zoom: "fit" | number, x: number, y: number, around: boolean,
 *   second: boolean, measuring: boolean, line: {x1: number, y1: number, x2: number, y2: number} | null}}
 */
const LOOK = { card: null, zoom: "fit", x: 0, y: 0, around: false, second: false, measuring: false, line: null };

/** What the pictures show, in px of the strip: the patch, or as much steel on each side of it. */
function frameOf(card, around) {
  const margin = around ? card.size : 0;
  const left = Math.max(0, card.left - margin);
  const top = Math.max(0, card.top - margin);
  return {
    left, top,
    width: Math.min(card.strip.width, card.right + margin) - left,
    height: Math.min(card.strip.height, card.bottom + margin) - top,
  };
}

/** Lay an element over a place of the strip, on a picture of `frame`. */
function layOn(element, frame, left, top, width, height) {
  Object.assign(element.style, {
    left: `${(100 * (left - frame.left)) / frame.width}%`, top: `${(100 * (top - frame.top)) / frame.height}%`,
    width: `${(100 * width) / frame.width}%`, height: `${(100 * height) / frame.height}%`,
  });
}

/** A picture of `drawPicture` in a window of its own, through which it is moved. */
function drawPane(card, figure) {
  const frame = frameOf(card, LOOK.around);
  const stack = find(".stack", figure);
  const pane = make("div", { className: "pane", tabIndex: 0 });
  pane.setAttribute("role", "group");
  pane.setAttribute("aria-label", find("img.raw", stack).alt);
  pane.setAttribute("aria-describedby", "look-hint");
  stack.replaceWith(pane);
  const sheet = make("div", { className: "sheet" });
  pane.append(sheet);
  if (LOOK.around) {
    const { strip } = card;
    const steel = make("img", { className: "around", src: source(strip.raw_path), alt: "", draggable: false });
    layOn(steel, frame, 0, 0, strip.width, strip.height);
    sheet.append(steel);
    stack.classList.add("framed");
  }
  for (const image of every("img", stack)) image.draggable = false;
  layOn(stack, frame, card.left, card.top, card.size, card.size);
  const ruler = clone("ruler-template");
  ruler.setAttribute("viewBox", `${frame.left} ${frame.top} ${frame.width} ${frame.height}`);
  sheet.append(stack, ruler);
  wirePane(pane);
  return figure;
}

/** Pixels of the screen per pixel of the steel, in a pane. */
function scaleIn(pane) {
  return LOOK.zoom === "fit" ? fitIn(pane) : LOOK.zoom;
}

function fitIn(pane) {
  const frame = frameOf(LOOK.card, LOOK.around);
  return Math.min(pane.clientWidth / frame.width, pane.clientHeight / frame.height);
}

/** All panes at the place and size that hold now. */
function showScale() {
  const dialog = find("#look");
  const [first] = every(".pane", dialog);
  if (!LOOK.card || !first?.clientWidth) return;
  const frame = frameOf(LOOK.card, LOOK.around);
  const scale = scaleIn(first);
  LOOK.x = within(LOOK.x, frame.left, frame.width, first.clientWidth / scale);
  LOOK.y = within(LOOK.y, frame.top, frame.height, first.clientHeight / scale);
  for (const pane of every(".pane", dialog)) {
    const sheet = find(".sheet", pane);
    Object.assign(sheet.style, {
      width: `${frame.width * scale}px`, height: `${frame.height * scale}px`,
      left: `${pane.clientWidth / 2 - (LOOK.x - frame.left) * scale}px`,
      top: `${pane.clientHeight / 2 - (LOOK.y - frame.top) * scale}px`,
    });
    sheet.classList.toggle("enlarged", scale >= 3);
    showRuler(pane);
  }
  for (const button of every("[data-zoom]", dialog)) {
    button.setAttribute("aria-pressed", String(String(LOOK.zoom) === button.dataset.zoom));
  }
  for (const name of ["around", "second"]) find(`[data-act=${name}]`, dialog).setAttribute("aria-pressed", String(LOOK[name]));
  find("[data-act=measure]", dialog).setAttribute("aria-pressed", String(LOOK.measuring));
  find(".panes", dialog).classList.toggle("measured", LOOK.measuring);
  find("output", dialog).textContent = LOOK.line ? lengthOf(LOOK.line) : "";
}

/** A middle from which nothing beside the picture is seen that could show the picture. */
function within(middle, start, length, seen) {
  return seen >= length ? start + length / 2 : Math.min(Math.max(middle, start + seen / 2), start + length - seen / 2);
}

function showRuler(pane) {
  const line = find(".ruler", pane);
  line.toggleAttribute("hidden", !LOOK.line);
  if (!LOOK.line) return;
  const { x1, y1, x2, y2 } = LOOK.line;
  for (const path of every("path", line)) path.setAttribute("d", `M ${x1} ${y1} L ${x2} ${y2}`);
}

/** A line's length in mm where the size of a pixel is known, in px else. */
function lengthOf({ x1, y1, x2, y2 }) {
  const px = Math.hypot(x2 - x1, y2 - y1);
  const text = `${decimal(px, px < 10 ? 1 : 0)}${THIN}px`;
  return REPORT.mmPerPx === null ? text : `${metric(px)} (${text})`;
}

/** Enlarge or reduce; the place at `x`, `y` of the strip stays where it is on the screen. */
function zoomTo(pane, zoom, x = LOOK.x, y = LOOK.y) {
  const before = scaleIn(pane);
  LOOK.zoom = zoom;
  const share = before / scaleIn(pane);
  LOOK.x = x + (LOOK.x - x) * share;
  LOOK.y = y + (LOOK.y - y) * share;
  showScale();
}

/** One step larger or smaller; smaller than fits is fit. */
function zoomBy(pane, factor, x, y) {
  const wanted = scaleIn(pane) * factor;
  zoomTo(pane, wanted <= Math.min(fitIn(pane), 1) ? "fit" : Math.min(wanted, LARGEST), x, y);
}

function wirePane(pane) {
  const placeAt = (event) => {
    const box = pane.getBoundingClientRect();
    const scale = scaleIn(pane);
    return {
      x: LOOK.x + (event.clientX - box.left - pane.clientLeft - pane.clientWidth / 2) / scale,
      y: LOOK.y + (event.clientY - box.top - pane.clientTop - pane.clientHeight / 2) / scale,
    };
  };
  /** @type {{x: number, y: number} | null} */
  let held = null;
  pane.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pane.setPointerCapture(event.pointerId);
    const { x, y } = placeAt(event);
    held = { x, y };
    if (LOOK.measuring) LOOK.line = { x1: x, y1: y, x2: x, y2: y };
    showScale();
  });
  pane.addEventListener("pointermove", (event) => {
    if (!held) return;
    const now = placeAt(event);
    if (LOOK.measuring) Object.assign(LOOK.line ?? {}, { x2: now.x, y2: now.y });
    else Object.assign(LOOK, { x: LOOK.x + held.x - now.x, y: LOOK.y + held.y - now.y });
    showScale();
  });
  for (const end of ["pointerup", "pointercancel"]) pane.addEventListener(end, () => { held = null; });
  pane.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const { x, y } = placeAt(event);
    zoomBy(pane, event.deltaY < 0 ? 1.25 : 0.8, x, y);
  }, { passive: false });
  pane.addEventListener("keydown", (event) => onPaneKey(event, pane));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onPaneKey(event, pane) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const [right, down] = ARROWS[event.key] ?? [0, 0];
  if (right || down) {
    const by = (LOOK.measuring ? (event.shiftKey ? 10 : 1) : NUDGE / scaleIn(pane));
    if (LOOK.measuring) moveEnd(right * by, down * by);
    else Object.assign(LOOK, { x: LOOK.x + right * by, y: LOOK.y + down * by });
    showScale();
  } else if (event.key === "+" || event.key === "=") zoomBy(pane, 1.25);
  else if (event.key === "-") zoomBy(pane, 0.8);
  else if (event.key === "0") zoomTo(pane, "fit");
  else if (event.key === "1" || event.key === "4") zoomTo(pane, Number(event.key));
  else if (event.key === "Enter" && LOOK.measuring) startLine();
  else return;
  event.preventDefault();
}

/** By keyboard: the line begins where its end is, or in the middle. */
function startLine() {
  const { x2: x, y2: y } = LOOK.line ?? { x2: LOOK.x, y2: LOOK.y };
  LOOK.line = { x1: x, y1: y, x2: x, y2: y };
  return LOOK.line;
}

function moveEnd(right, down) {
  const line = LOOK.line ?? startLine();
  line.x2 += right;
  line.y2 += down;
}
