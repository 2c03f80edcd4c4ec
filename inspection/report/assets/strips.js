"use strict";
// The strip map: every strip of the batch on one scale, with its flagged patches.

const ROOMY = 20; // strips up to which each has its picture
const ROW_HEIGHT = 128; // px, of what is no long strip

function drawStripMap() {
  const holder = find("#strip-map");
  const roomy = STRIPS.length <= ROOMY;
  holder.classList.toggle("dense", !roomy);
  holder.append(drawAxis());
  const items = [];
  let coil = null;
  for (const strip of STRIPS) {
    if (strip.coil !== coil && strip.coil) {
      const own = STRIPS.filter((other) => other.coil === strip.coil);
      items.push({ coil: strip.coil, strips: own.length, flagged: own.filter((other) => other.flagged).length });
    }
    coil = strip.coil;
    items.push(strip);
  }
  const scroller = make("div", { className: "map-rows", tabIndex: 0, role: "region" });
  scroller.setAttribute("aria-label", "All strips");
  const list = make("div", { role: "list" });
  list.setAttribute("aria-label", "Strips");
  scroller.append(list);
  holder.append(scroller);
  if (roomy) {
    list.append(...items.map(drawMapItem));
    return { refresh: (strip) => refreshRow(list, strip), refreshAll: () => STRIPS.forEach((strip) => refreshRow(list, strip)) };
  }
  const virtual = new VirtualList(list, {
    draw: drawMapItem, key: (item) => (item.coil !== undefined && item.index === undefined ? `coil ${item.coil}` : item.index),
    estimate: () => 34, scroller, overscan: 10,
  });
  virtual.setItems(items);
  return virtual;
}

function refreshRow(list, strip) {
  find(`[data-strip="${strip.index}"]`, list).replaceWith(drawRow(strip));
}

function drawAxis() {
  const axis = make("div", { className: "axis" }, make("span"));
  axis.setAttribute("aria-hidden", "true");
  const ticks = make("span", { className: "ticks" });
  for (const share of [0, 0.5, 1]) {
    const px = Math.round(REPORT.widest * share);
    const mm = metric(px);
    ticks.append(make("span", { textContent: share === 1 ? `${number(px)} px${mm && ` · ${mm}`}` : number(px) }));
  }
  axis.append(ticks, make("span"));
  return axis;
}

const drawMapItem = (item) => (item.index === undefined ? drawCoil(item) : drawRow(item));

function drawCoil({ coil, strips, flagged }) {
  const row = make("div", { className: "coil", role: "listitem" }, make("bdi", { textContent: coil }),
    make("span", { className: "muted", textContent: `${plural(strips, "{n} strip", "{n} strips")}, ${number(flagged)} with indications` }));
  return row;
}

function drawRow(strip) {
  const row = clone("strip-template");
  row.dataset.strip = strip.index;
  const name = find(".name", row);
  find("bdi", name).textContent = strip.strip_id.startsWith(`${strip.coil}/`) ? strip.name : strip.strip_id;
  name.setAttribute("aria-label", `Open strip ${strip.strip_id}`);
  name.dataset.focus = "open";
  name.addEventListener("click", () => openViewer(strip));
  const bar = find(".bar", row);
  if (strip.inspected) {
    bar.style.width = `${(100 * strip.width) / REPORT.widest}%`;
    bar.style.aspectRatio = `${strip.width} / ${strip.height}`;
    // What is no strip, but nearly a square, would else fill the window.
    if (strip.width < 4 * strip.height) bar.style.maxWidth = `${(ROW_HEIGHT * strip.width) / strip.height}px`;
    const image = find("img", bar);
    if (STRIPS.length > ROOMY) image.remove();
    else Object.assign(image, { src: source(strip.thumb_path), loading: "lazy", width: strip.width, height: strip.height });
    bar.append(...strip.cards.filter((card) => card.flagged).map((card) => drawMark(card)));
  } else {
    const missing = find(".missing", row);
    missing.hidden = false;
    missing.textContent = `not inspected: ${strip.reason}`;
    bar.remove();
  }
  const proposed = find("[data-text=proposed]", row);
  proposed.textContent = strip.disposition;
  proposed.classList.add(`d-${strip.disposition}`);
  proposed.title = strip.rule;
  const { status, current } = stateOf(stripSubject(strip));
  const latest = current.at(-1)?.value;
  write(row, "decided", status === "open" ? "" : status === "disputed" ? "disputed" : `✓ ${latest}`);
  if (status === "decided") find(".decided", row).classList.add(`d-${latest}`);
  return row;
}

/** A flagged patch on its strip: leads to its card. */
function drawMark(card, after = () => {}) {
  const { name, style } = CLASSES[card.class];
  const mark = make("a", {
    className: `mark k${style}`, href: `#card=${card.number}`,
    title: `${name} · ${probability(card.score)} · ${placeOf(card)}`,
  }, glyph(card.class));
  mark.setAttribute("aria-label", `${name}, ${probability(card.score)}, ${placeOf(card)}`);
  showMarkDecided(mark, card);
  layOver(mark, card);
  mark.addEventListener("click", (event) => {
    event.preventDefault();
    after();
    go(card);
  });
  return mark;
}
