"use strict";
// What looks alike to the network: a row on the card, and all indications of a class as pictures.

/** @type {{here: Map<number, any[]>, earlier: Map<number, any[]>} | null} */
let alike = null;

/** @type {(columns: Record<string, any[]>) => Map<number, any[]>} */
function byCard(columns) {
  const found = new Map();
  for (const row of rowsOf(columns)) {
    if (!found.has(row.card)) found.set(row.card, []);
    found.get(row.card).push(row);
  }
  return found;
}

/** The similar indications of a card, of this batch and of earlier ones, the most alike first. */
function alikeOf(card) {
  if (!alike) {
    alike = { here: byCard(REPORT.similar), earlier: byCard(REPORT.earlier) };
  }
  return { here: alike.here.get(card.number) ?? [], earlier: alike.earlier.get(card.number) ?? [] };
}

/** @type {(card: Indication) => HTMLElement | null} */
function drawSimilar(card) {
  const { here, earlier } = alikeOf(card);
  if (!here.length && !earlier.length) return null;
  const title = make("h4", { textContent: say("Similar indications"),
    title: say("Those whose patches look most alike to the network; 100 % is the same picture.") });
  const list = make("ul", {},
    ...here.map(({ other, similarity }) => make("li", {}, drawThumb(CARDS[other - 1], similarity))),
    ...earlier.map((row) => make("li", {}, drawEarlier(row))));
  return make("div", { className: "similar" }, title, list);
}

/** A card as a small picture that leads to it. */
function drawThumb(card, similarity = null) {
  const name = CLASSES[card.class].name;
  const told = similarity === null ? probability(card.score) : say("{share} alike", { share: percent(similarity) });
  const button = make("button", { type: "button", className: "thumb link" },
    make("img", { src: source(card.raw_path), alt: "", loading: "lazy", decoding: "async" }),
    make("span", { textContent: say("No. {n}, {name}", { n: card.number, name }) }),
    make("span", { className: "muted", textContent: told }));
  button.title = nameOf(card);
  button.addEventListener("click", () => {
    find("#gallery").close();
    go(card);
  });
  return button;
}

function drawEarlier({ batch, similar_strip_id, similar_class, similarity, raw_path }) {
  const here = raw_path !== "" && isHere(raw_path);
  const figure = make("div", { className: "thumb", title: `${batch} · ${similar_strip_id}` },
    here ? make("img", { src: source(raw_path), alt: "", loading: "lazy", decoding: "async" })
      : make("span", { className: "no-picture", textContent: say("no picture") }),
    make("span", {}, make("b", { textContent: calledOf(similar_class) }), " ", make("bdi", { textContent: batch })),
    make("span", { className: "muted", textContent: say("{share} alike", { share: percent(similarity) }) }));
  return figure;
}

// Gallery

/** @type {VirtualList | null} */
let gallery = null;
const THUMB = 132; // px, with its gap

function openGallery() {
  const dialog = find("#gallery");
  const choice = find("select", dialog);
  if (!choice.options.length) {
    for (const [index, { name }] of CLASSES.entries()) {
      const count = CARDS.filter((card) => card.flagged && card.class === index).length;
      if (count) choice.append(make("option", { value: String(index), textContent: `${name} (${number(count)})` }));
    }
    choice.addEventListener("change", fillGallery);
  }
  const card = currentCard();
  if (card?.flagged) choice.value = String(card.class);
  dialog.showModal();
  gallery ??= new VirtualList(find(".gallery-rows", dialog), {
    draw: (row) => make("div", { className: "gallery-row" }, ...row.map((own) => drawThumb(own))),
    describe: () => {}, key: (row) => row[0].number, estimate: () => 170, scroller: find(".gallery-view", dialog),
  });
  fillGallery();
}

/** The indications of the chosen class, in rows as long as the window is wide. */
function fillGallery() {
  const dialog = find("#gallery");
  const chosen = Number(find("select", dialog).value);
  const cards = CARDS.filter((card) => card.flagged && card.class === chosen);
  const columns = Math.max(1, Math.floor(find(".gallery-view", dialog).clientWidth / THUMB));
  const rows = Array.from({ length: Math.ceil(cards.length / columns) }, (_, row) =>
    cards.slice(row * columns, (row + 1) * columns));
  find(".gallery-view", dialog).scrollTop = 0;
  gallery?.setItems(rows);
}

for (const button of every("[data-act=gallery]")) button.addEventListener("click", openGallery);
