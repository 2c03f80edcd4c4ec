"use strict";
// A card: the patch, where the model looked, how far that can be trusted, and the decision.

const comparing = new Set(); // numbers of the cards that show their runner-up's map
const dimmed = new Map(); // overlay of single cards, where it is not the common one

function drawCard(card, printed = false) {
  const root = clone("card-template");
  const title = find("h3", root);
  title.id = `card-${card.number}${printed ? "-printed" : ""}`;
  root.setAttribute("aria-labelledby", title.id);
  root.classList.add(`k${CLASSES[card.class].style}`);
  root.classList.toggle("current", !printed && String(card.number) === STATE.card);
  slot(root, "glyph").append(glyph(card.class));
  write(root, "title", CLASSES[card.class].name);
  title.append(make("span", { className: "quiet", textContent: say(", number {n}", { n: card.number }) }));
  write(root, "number", card.number);
  write(root, "strip", card.strip.strip_id);
  write(root, "place", placeOf(card));
  slot(root, "probability").append(term("probability"));
  write(root, "score", probability(card.score));
  label(root, "unsure", card.class_unsure);
  label(root, "unflagged", !card.flagged);
  label(root, "weak", card.weak);
  write(root, "outcome", card.outcome && card.outcome !== "unknown" ? say("truth: {outcome}", { outcome: say(TRUTH[card.outcome]) }) : "");
  drawLook(root, card, printed);
  drawWhere(find(".where", root), card);
  slot(root, "bars").append(...CLASSES.map(({ column }, index) => drawBar(card[column], index, card)));
  slot(root, "facts").append(...factsOf(card));
  slot(root, "trust").append(...trustOf(card));
  if (!printed) slot(root, "decide").append(drawDecide(card.strip, card));
  else slot(root, "decide").append(make("ul", { className: "log" }, ...printedLog(card)));
  if (!printed) root.append(drawSimilar(card) ?? "");
  return root;
}

/** A badge that is a term: there, or not. */
function label(root, name, on) {
  const badge = slot(root, name);
  badge.hidden = !on;
  if (on) badge.append(term(name));
}

/** The patch as it is, with its map over it, and, if asked for, with that of the second class. */
function picturesOf(card, second) {
  const own = CLASSES[card.class].name;
  const pictures = [
    drawPicture(card, "", say("Steel")),
    drawPicture(card, card.map_path, card.map_path ? say("Map of {name}", { name: own }) : say("{name}: no map", { name: own }), own),
  ];
  if (second) {
    const path = card.runner_up_map_path;
    const name = calledOf(card.runner_up);
    pictures.push(drawPicture(card, path, path ? say("Map of {name}", { name }) : say("{name}: no map", { name }), name, false));
  }
  return pictures;
}

function drawLook(root, card, printed) {
  const compared = Boolean(card.runner_up) && !printed && comparing.has(card.number);
  slot(root, "pictures").append(...picturesOf(card, compared));
  write(root, "noMap", card.no_map);
  const slider = slot(root, "slider");
  if (!card.map_path || printed) {
    slider.remove();
  } else {
    const input = find("input", slider);
    input.setAttribute("aria-label", say("Overlay opacity, number {n}, per cent", { n: card.number }));
    input.value = dimmed.get(card.number) ?? STATE.overlay;
    if (dimmed.has(card.number)) root.style.setProperty("--overlay", input.value / 100);
    input.addEventListener("input", () => {
      dimmed.set(card.number, input.value);
      root.style.setProperty("--overlay", input.value / 100);
    });
  }
  if (printed) return;
  const look = () => {
    go(card);
    openLook(card);
  };
  find("[data-act=look]", root).addEventListener("click", look);
  slot(root, "pictures").addEventListener("click", look);
  const button = find("[data-act=runner]", root);
  button.dataset.focus = "runner";
  if (card.runner_up) {
    button.hidden = false;
    button.append(say("Second most likely class: {name}", { name: calledOf(card.runner_up) }));
    button.title = `${probability(card.runner_up_score)}. ${term("second").title}`;
    button.setAttribute("aria-pressed", String(compared));
    button.addEventListener("click", () => toggleRunnerUp(card));
  }
}

/** The patch, with the map of a class over it where there is one; `marked` false leaves out the contours. */
function drawPicture(card, map, title, name = "", marked = true) {
  const figure = clone("picture-template");
  const [raw, over] = every("img", figure);
  for (const image of [raw, over]) Object.assign(image, { width: card.size, height: card.size });
  raw.src = source(card.raw_path);
  raw.alt = map
    ? say("The patch, number {n}, with the map of {name} over it", { n: card.number, name })
    : say("The patch, number {n}", { n: card.number });
  if (map) over.src = source(map);
  else over.remove();
  const outline = find(".outline", figure);
  outline.setAttribute("viewBox", `0 0 ${card.size} ${card.size}`);
  const contours = { region: map && marked ? card.region_contour : "", true: name && marked ? card.true_contour : "" };
  for (const [kind, path] of Object.entries(contours)) {
    for (const line of [find(`.${kind}-halo`, outline), find(`.${kind}`, outline)]) {
      if (path) line.setAttribute("d", path);
      else line.remove();
    }
  }
  find("figcaption", figure).textContent = title;
  return figure;
}

function toggleRunnerUp(card) {
  if (!card.runner_up) return;
  if (!comparing.delete(card.number)) comparing.add(card.number);
  redraw(card);
}

function drawWhere(button, card) {
  const image = find("img", button);
  Object.assign(image, { src: source(card.strip.thumb_path), width: card.strip.width, height: card.strip.height });
  const place = find("span", button);
  layOver(place, card);
  button.dataset.focus = "strip";
  button.setAttribute("aria-label",
    say("Open the strip: the patch lies at {place} of {width} px", { place: placeOf(card), width: number(card.strip.width) }));
  button.addEventListener("click", () => openViewer(card.strip, card));
}

function drawBar(value, index, card) {
  const { name, style, threshold } = CLASSES[index];
  const track = make("span", { className: "track" });
  const fill = make("span", { className: `fill k${style}` });
  fill.style.width = `${100 * value}%`;
  track.append(fill);
  if (threshold !== null) {
    const limit = make("span", { className: "limit", title: say("flagged from {probability}", { probability: percent(threshold) }) });
    limit.style.left = `${100 * threshold}%`;
    track.append(limit);
  }
  const row = make("tr", { className: index === card.class ? "chosen" : "" },
    make("th", { scope: "row", textContent: name }), make("td", {}, track),
    make("td", { className: "n", textContent: probability(value) }));
  return row;
}

/** A line: a term, its value, and what explains the value. */
function fact(name, value, muted = "") {
  const text = make("dd", { textContent: value });
  if (muted) text.append(" ", make("span", { className: "muted", textContent: muted }));
  return make("div", {}, make("dt", {}, term(name)), text);
}

function factsOf(card) {
  const facts = [];
  if (card.region_area !== null) {
    const area = card.region_area;
    const [left, top] = [card.left + card.region_left, card.top + card.region_top];
    const mm2 = REPORT.mmPerPx === null ? "" : `, ${number(Math.round(area * REPORT.mmPerPx ** 2))}${THIN}mm²`;
    facts.push(fact("area", `${number(area)}${THIN}px${mm2}`, percent(area / card.size ** 2)));
    const at = { left: number(left), top: number(top), mmLeft: metric(left), mmTop: metric(top) };
    facts.push(fact("position", `${card.region_width} × ${card.region_height}${THIN}px`,
      REPORT.mmPerPx === null ? say("at {left}, {top}", at) : say("at {left}, {top} ({mmLeft}, {mmTop})", at)));
  }
  if (card.coil_m !== null) facts.push(fact("coil", coilPlaceOf(card)));
  if (card.roll_mark) facts.push(fact("mark", rollMarkOf(card)));
  if (card.runner_up_similarity !== null) facts.push(fact("similarity", decimal(card.runner_up_similarity, 2)));
  if (card.true_class) facts.push(fact("true", calledOf(card.true_class)));
  if (card.ebpg !== null) facts.push(fact("hit", `EBPG ${percent(card.ebpg)}`, `Bbox ${percent(card.bbox)}`));
  return facts;
}

function trustOf(card) {
  if (card.drop === null) return [];
  const measures = [
    drawMeasure("only", probability(card.kept_score), say("{share} lost", { share: percent(card.drop) }), card.drop_percentile),
    drawMeasure("hidden", probability(card.removed_score), say("{share} left", { share: percent(card.removed_share) }), card.removed_percentile),
    card.agreement === null
      ? drawMeasure("agreement", say("no map"), "", null)
      : drawMeasure("agreement", decimal(card.agreement, 2), "", card.agreement_percentile),
  ];
  const failed = card.weak_because.split("; ").filter(Boolean).map((test) => say(test)).join("; ");
  const words = make("p", { className: card.weak ? "notice" : "muted verdict-of-trust" });
  if (card.weak) words.append(make("b", {}, term("weak")), `: ${failed}.`);
  else words.append(failed ? say("One test failed: {test}.", { test: failed }) : say("All three tests passed."));
  return [make("h4", {}, term("reliability")), ...measures, words];
}

function drawMeasure(name, value, detail, rank) {
  const root = clone("measure-template");
  slot(root, "name").append(term(name));
  write(root, "value", value);
  write(root, "detail", detail);
  if (rank === null) {
    find(".percentile", root).remove();
  } else {
    find(".fill", root).style.width = `${rank}%`;
    write(root, "percentile", say("better than {share} of this batch", { share: percent(rank / 100) }));
  }
  return root;
}

/** "How to read a card", from wherever it is asked for. */
addEventListener("click", (event) => {
  if (event.target instanceof Element && event.target.closest("[data-act=guide]")) find("#guide").showModal();
});
