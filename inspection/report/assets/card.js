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
  title.append(make("span", { className: "quiet", textContent: `, number ${card.number}` }));
  write(root, "number", card.number);
  write(root, "strip", card.strip.id);
  write(root, "place", placeOf(card));
  write(root, "score", probability(card.score));
  write(root, "unflagged", card.flagged ? "" : "not flagged");
  write(root, "weak", card.weak ? "weak explanation" : "");
  write(root, "outcome", card.truth && card.truth.outcome !== "unknown" ? `truth: ${card.truth.outcome}` : "");
  drawLook(root, card, printed);
  drawWhere(find(".where", root), card);
  slot(root, "bars").append(...card.p.map((value, index) => drawBar(value, index, card)));
  slot(root, "facts").append(...factsOf(card));
  slot(root, "trust").append(...trustOf(card));
  if (!printed) slot(root, "decide").append(drawDecide(card.strip, card));
  else slot(root, "decide").append(make("ul", { className: "log" }, ...printedLog(card)));
  return root;
}

function drawLook(root, card, printed) {
  const pictures = slot(root, "pictures");
  const compared = card.runnerUp && (printed ? false : comparing.has(card.number));
  pictures.append(drawPicture(card, card.map, `class ${CLASSES[card.class].symbol}`, CLASSES[card.class], compared));
  if (compared) {
    pictures.append(drawPicture(card, card.runnerUp.map, "the runner-up", CLASSES[card.runnerUp.class], true, false));
  }
  if (printed) pictures.prepend(drawPicture(card, "", "", null, false));
  write(root, "noMap", card.noMap);
  const slider = slot(root, "slider");
  if (!card.map || printed) {
    slider.remove();
  } else {
    const input = find("input", slider);
    input.setAttribute("aria-label", `Overlay opacity, number ${card.number}, per cent`);
    input.value = dimmed.get(card.number) ?? STATE.overlay;
    if (dimmed.has(card.number)) root.style.setProperty("--overlay", input.value / 100);
    input.addEventListener("input", () => {
      dimmed.set(card.number, input.value);
      root.style.setProperty("--overlay", input.value / 100);
    });
  }
  const button = find("[data-act=runner]", root);
  button.dataset.focus = "runner";
  if (card.runnerUp && !printed) {
    const { name } = CLASSES[card.runnerUp.class];
    button.hidden = false;
    button.textContent = `Runner-up: ${name}, ${probability(card.runnerUp.score)}`;
    button.setAttribute("aria-pressed", String(compared));
    button.addEventListener("click", () => toggleRunnerUp(card));
  }
}

/** The patch with a map over it; `marked` false leaves out the contours. */
function drawPicture(card, map, what, cls, titled, marked = true) {
  const figure = clone("picture-template");
  const [raw, over] = every("img", figure);
  for (const image of [raw, over]) Object.assign(image, { width: card.size, height: card.size });
  raw.src = source(card.raw);
  raw.alt = `The patch, number ${card.number}${map ? `, with the map of ${what} over it` : ""}`;
  if (map) over.src = source(map);
  else over.remove();
  const outline = find(".outline", figure);
  outline.setAttribute("viewBox", `0 0 ${card.size} ${card.size}`);
  const contours = { region: map && marked ? card.region?.contour : "", true: what && marked ? card.truth?.contour : "" };
  for (const [name, path] of Object.entries(contours)) {
    for (const line of [find(`.${name}-halo`, outline), find(`.${name}`, outline)]) {
      if (path) line.setAttribute("d", path);
      else line.remove();
    }
  }
  const caption = find("figcaption", figure);
  if (titled) caption.append(cls.name, map ? "" : ": no map");
  else caption.remove();
  return figure;
}

function toggleRunnerUp(card) {
  if (!card.runnerUp) return;
  if (!comparing.delete(card.number)) comparing.add(card.number);
  redraw(card);
}

function drawWhere(button, card) {
  const image = find("img", button);
  Object.assign(image, { src: source(card.strip.thumb), width: card.strip.width, height: card.strip.height });
  const place = find("span", button);
  layOver(place, card);
  button.dataset.focus = "strip";
  button.setAttribute("aria-label",
    `Open the strip: the patch lies at ${placeOf(card)} of ${number(card.strip.width)} px`);
  button.addEventListener("click", () => openViewer(card.strip, card));
}

function drawBar(value, index, card) {
  const { name, style, threshold } = CLASSES[index];
  const track = make("span", { className: "track" });
  const fill = make("span", { className: `fill k${style}` });
  fill.style.width = `${100 * value}%`;
  track.append(fill);
  if (threshold !== null) {
    const limit = make("span", { className: "limit", title: `threshold ${probability(threshold)}` });
    limit.style.left = `${100 * threshold}%`;
    track.append(limit);
  }
  const row = make("tr", { className: index === card.class ? "chosen" : "" },
    make("th", { scope: "row", textContent: name }), make("td", {}, track),
    make("td", { className: "n", textContent: probability(value) }));
  return row;
}

function fact(label, value, muted = "") {
  const text = make("dd", { textContent: value });
  if (muted) text.append(" ", make("span", { className: "muted", textContent: muted }));
  return make("div", {}, make("dt", { textContent: label }), text);
}

function factsOf(card) {
  const facts = [];
  const { region, truth } = card;
  if (region) {
    const mm2 = REPORT.mmPerPx === null ? "" : `, ${number(Math.round(region.area * REPORT.mmPerPx ** 2))}${THIN}mm²`;
    facts.push(fact("Explained region", `${number(region.area)}${THIN}px${mm2}`,
      percent(region.area / card.size ** 2)));
    const corner = `at ${number(card.left + region.left)}, ${number(card.top + region.top)}`;
    const size = `${region.width} × ${region.height}${THIN}px`;
    facts.push(fact("Its box on the strip", size, REPORT.mmPerPx === null ? corner
      : `${corner} (${metric(card.left + region.left)}, ${metric(card.top + region.top)})`));
  }
  if (card.runnerUp?.similarity !== null && card.runnerUp?.similarity !== undefined) {
    facts.push(fact("Map against runner-up's", card.runnerUp.similarity.toFixed(2), "correlation"));
  }
  if (truth?.trueClass) facts.push(fact("True class", truth.trueClass));
  if (truth && truth.ebpg !== null) {
    facts.push(fact("Map on the true mask", `EBPG ${probability(truth.ebpg)}`, `Bbox ${probability(truth.bbox)}`));
  }
  return facts;
}

function trustOf(card) {
  const { trust } = card;
  if (!trust) return [];
  const heading = make("h4", {}, "How far to trust the map",
    make("small", { textContent: "and the share of this batch's maps that do worse" }));
  const measures = [
    drawMeasure("Kept alone", probability(trust.kept), `drop ${percent(trust.drop)}`, trust.dropRank),
    drawMeasure("Deleted", probability(trust.removed), `${percent(trust.left)} left`, trust.leftRank),
    trust.agreement === null
      ? drawMeasure("Second method", "no map", "", null)
      : drawMeasure("Second method", trust.agreement.toFixed(2), "correlation", trust.agreementRank),
  ];
  const words = make("p", { className: card.weak ? "notice" : "muted verdict-of-trust" });
  if (card.weak) words.append(make("b", { textContent: "Weak explanation: " }), card.weakBecause, ".");
  else if (card.weakBecause) words.append(`One test failed: ${card.weakBecause}.`);
  else words.append("All three tests passed.");
  return [heading, ...measures, words];
}

function drawMeasure(name, value, detail, rank) {
  const root = clone("measure-template");
  write(root, "name", name);
  write(root, "value", value);
  write(root, "detail", detail);
  if (rank === null) {
    find(".percentile", root).remove();
  } else {
    find(".fill", root).style.width = `${rank}%`;
    write(root, "percentile", `better than ${rank.toFixed(0)}${THIN}%`);
  }
  return root;
}
