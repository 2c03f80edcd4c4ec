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
  write(root, "strip", card.strip.strip_id);
  write(root, "place", placeOf(card));
  write(root, "score", probability(card.score));
  write(root, "classUnsure", card.class_unsure ? say("class unsure") : "");
  write(root, "unflagged", card.flagged ? "" : "not flagged");
  write(root, "weak", card.weak ? "weak explanation" : "");
  write(root, "outcome", card.outcome && card.outcome !== "unknown" ? `truth: ${card.outcome}` : "");
  drawLook(root, card, printed);
  drawWhere(find(".where", root), card);
  slot(root, "bars").append(...CLASSES.map(({ column }, index) => drawBar(card[column], index, card)));
  slot(root, "facts").append(...factsOf(card));
  slot(root, "trust").append(...trustOf(card));
  if (!printed) slot(root, "decide").append(drawDecide(card.strip, card));
  else slot(root, "decide").append(make("ul", { className: "log" }, ...printedLog(card)));
  return root;
}

function drawLook(root, card, printed) {
  const pictures = slot(root, "pictures");
  const compared = card.runner_up && (printed ? false : comparing.has(card.number));
  pictures.append(drawPicture(card, card.map_path, `class ${CLASSES[card.class].symbol}`, CLASSES[card.class], compared));
  if (compared) {
    pictures.append(drawPicture(card, card.runner_up_map_path, "the runner-up", CLASSES[card.second], true, false));
  }
  if (printed) pictures.prepend(drawPicture(card, "", "", null, false));
  write(root, "noMap", card.no_map);
  const slider = slot(root, "slider");
  if (!card.map_path || printed) {
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
  if (card.runner_up && !printed) {
    button.hidden = false;
    button.textContent = `Runner-up: ${card.runner_up}, ${probability(card.runner_up_score)}`;
    button.setAttribute("aria-pressed", String(compared));
    button.addEventListener("click", () => toggleRunnerUp(card));
  }
}

/** The patch with a map over it; `marked` false leaves out the contours. */
function drawPicture(card, map, what, cls, titled, marked = true) {
  const figure = clone("picture-template");
  const [raw, over] = every("img", figure);
  for (const image of [raw, over]) Object.assign(image, { width: card.size, height: card.size });
  raw.src = source(card.raw_path);
  raw.alt = `The patch, number ${card.number}${map ? `, with the map of ${what} over it` : ""}`;
  if (map) over.src = source(map);
  else over.remove();
  const outline = find(".outline", figure);
  outline.setAttribute("viewBox", `0 0 ${card.size} ${card.size}`);
  const contours = { region: map && marked ? card.region_contour : "", true: what && marked ? card.true_contour : "" };
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
  if (card.region_area !== null) {
    const area = card.region_area;
    const [left, top] = [card.left + card.region_left, card.top + card.region_top];
    const mm2 = REPORT.mmPerPx === null ? "" : `, ${number(Math.round(area * REPORT.mmPerPx ** 2))}${THIN}mm²`;
    facts.push(fact("Explained region", `${number(area)}${THIN}px${mm2}`, percent(area / card.size ** 2)));
    const corner = `at ${number(left)}, ${number(top)}`;
    facts.push(fact("Its box on the strip", `${card.region_width} × ${card.region_height}${THIN}px`,
      REPORT.mmPerPx === null ? corner : `${corner} (${metric(left)}, ${metric(top)})`));
  }
  if (card.runner_up_similarity !== null) {
    facts.push(fact("Map against runner-up's", card.runner_up_similarity.toFixed(2), "correlation"));
  }
  if (card.true_class) facts.push(fact("True class", card.true_class));
  if (card.ebpg !== null) {
    facts.push(fact("Map on the true mask", `EBPG ${probability(card.ebpg)}`, `Bbox ${probability(card.bbox)}`));
  }
  return facts;
}

function trustOf(card) {
  if (card.drop === null) return [];
  const heading = make("h4", {}, "How far to trust the map",
    make("small", { textContent: "and the share of this batch's maps that do worse" }));
  const measures = [
    drawMeasure("Kept alone", probability(card.kept_score), `drop ${percent(card.drop)}`, card.drop_percentile),
    drawMeasure("Deleted", probability(card.removed_score), `${percent(card.removed_share)} left`, card.removed_percentile),
    card.agreement === null
      ? drawMeasure("Second method", "no map", "", null)
      : drawMeasure("Second method", card.agreement.toFixed(2), "correlation", card.agreement_percentile),
  ];
  const words = make("p", { className: card.weak ? "notice" : "muted verdict-of-trust" });
  if (card.weak) words.append(make("b", { textContent: "Weak explanation: " }), card.weak_because, ".");
  else if (card.weak_because) words.append(`One test failed: ${card.weak_because}.`);
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
