"use strict";
// The same indications as a table, a line each.

const COLUMNS = [
  { name: "No.", sort: "number", value: (card) => String(card.number), n: true },
  { name: "Class", sort: "class", value: (card) => [glyph(card.class), CLASSES[card.class].name] },
  { name: "Probability", sort: "score", value: (card) => probability(card.score), n: true },
  { name: "Strip", sort: "strip", value: (card) => make("bdi", { textContent: card.strip.strip_id }), wide: true },
  { name: "From–to, px", sort: "left", value: (card) => spanOf(card), n: true },
  { name: "Drop", sort: "drop", value: (card) => (card.drop === null ? "no map" : percent(card.drop)), n: true },
  { name: "Left", sort: "removed", value: (card) => (card.removed_share === null ? "" : percent(card.removed_share)), n: true },
  { name: "Agreement", sort: "agreement", value: (card) => card.agreement?.toFixed(2) ?? "", n: true },
  { name: "Region, px", sort: "area", value: (card) => (card.region_area === null ? "" : number(card.region_area)), n: true },
  { name: "Explanation", sort: "doubt", value: (card) => (card.weak ? "weak" : "") },
  { name: "Decision", sort: null, value: (card) => decisionOf(card) },
];

function decisionOf(card) {
  const { status, current } = stateOf(patchSubject(card));
  const latest = current.at(-1);
  if (status === "decided" && latest) return OUTCOME[latest.kind](latest, card);
  return status === "open" ? "" : status;
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
      const button = make("button", { type: "button", textContent: column.name });
      button.addEventListener("click", () => {
        setState({ sort: sorted && !down ? `-${column.sort}` : column.sort });
        find(`[aria-sort]:nth-child(${COLUMNS.indexOf(column) + 1}) button`, find("#table")).focus();
      });
      cell.append(button);
    } else {
      cell.textContent = column.name;
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
      link.setAttribute("aria-label", `Evidence of number ${value}`);
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
