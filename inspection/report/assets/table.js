"use strict";
// The same indications as a table, a line each.

const COLUMNS = [
  { name: word("No."), sort: "number", value: (card) => String(card.number), n: true },
  { name: word("Class"), sort: "class", value: (card) => [glyph(card.class), CLASSES[card.class].name] },
  { name: word("Probability"), sort: "score", value: (card) => probability(card.score), n: true },
  { name: word("Strip"), sort: "strip", value: (card) => make("bdi", { textContent: card.strip.strip_id }), wide: true },
  { name: word("From–to, px"), sort: "left", value: (card) => spanOf(card), n: true },
  { name: word("Marked only"), title: word("Marked area only"), sort: "drop", value: (card) => (card.drop === null ? say("no map") : probability(card.kept_score)), n: true },
  { name: word("Hidden"), title: word("Marked area hidden"), sort: "removed", value: (card) => (card.removed_share === null ? "" : probability(card.removed_score)), n: true },
  { name: word("Agreement"), sort: "agreement", value: (card) => (card.agreement === null ? "" : decimal(card.agreement, 2)), n: true },
  { name: word("Marked, px"), sort: "area", value: (card) => (card.region_area === null ? "" : number(card.region_area)), n: true },
  { name: word("Reliability"), sort: "doubt", value: (card) => (card.weak ? say("weak") : "") },
  { name: word("Decision"), sort: null, value: (card) => decisionOf(card) },
];

function decisionOf(card) {
  const { status, current } = stateOf(patchSubject(card));
  const latest = current.at(-1);
  if (status === "decided" && latest) return outcomeOf(latest, card);
  return status === "disputed" ? say("disputed") : "";
}

function drawHead() {
  const row = make("div", { className: "line head", role: "row" });
  row.setAttribute("aria-rowindex", 1);
  for (const column of COLUMNS) {
    const cell = make("div", { role: "columnheader", className: column.n ? "n" : "" });
    if (column.sort) {
      const sorted = STATE.sort.replace("-", "") === column.sort;
      const down = STATE.sort.startsWith("-");
      cell.setAttribute("aria-sort", !sorted ? "none" : down ? "descending" : "ascending");
      const button = make("button", { type: "button", textContent: say(column.name), title: say(column.title ?? "") });
      button.addEventListener("click", () => {
        setState({ sort: sorted && !down ? `-${column.sort}` : column.sort });
        find(`[aria-sort]:nth-child(${COLUMNS.indexOf(column) + 1}) button`, find("#table")).focus();
      });
      cell.append(button);
    } else {
      cell.textContent = say(column.name);
    }
    row.append(cell);
  }
  return row;
}

function drawLine(card) {
  const row = make("div", { className: "line", role: "row", tabIndex: -1 });
  row.classList.toggle("current", String(card.number) === STATE.card);
  for (const column of COLUMNS) {
    const cell = make("div", { role: "cell", className: column.n ? "n" : column.wide ? "wide" : "" });
    const value = column.value(card);
    if (column.sort === "number") {
      const link = make("a", { href: `#card=${card.number}`, textContent: value });
      link.setAttribute("aria-label", say("Evidence of number {n}", { n: value }));
      link.dataset.focus = "number";
      link.addEventListener("click", (event) => {
        event.preventDefault();
        setState({ view: "cards" });
        go(card);
      });
      cell.append(link);
    } else {
      cell.append(...[value].flat());
    }
    row.append(cell);
  }
  return row;
}

function describeLine(node, index) {
  node.setAttribute("aria-rowindex", index + 2);
}
