"use strict";
// The page is complete without this script; it adds the sliders, the filter and sorting.

const every = (selector, root = document) => [...root.querySelectorAll(selector)];

// A slider moves the images of its card; the one in the legend moves all.
for (const slider of every(".slider input")) {
  slider.addEventListener("input", () => {
    const card = slider.closest(".card");
    (card ?? document.documentElement).style.setProperty("--overlay", slider.value / 100);
    if (!card) {
      for (const other of every(".card .slider input")) {
        other.value = slider.value;
        other.closest(".card").style.removeProperty("--overlay");
      }
    }
  });
}

const boxes = every(".filter input");
function filter() {
  const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  for (const item of every("[data-class]")) item.hidden = !shown.has(item.dataset.class);
  for (const strip of every(".strip")) {
    strip.hidden = !every(".card", strip).some((card) => !card.hidden);
  }
  const rows = every(".sortable tbody tr");
  const visible = rows.filter((row) => !row.hidden).length;
  const output = document.querySelector(".filter output");
  output.textContent = visible < rows.length ? `${visible} of ${rows.length}` : "";
}
for (const box of boxes) box.addEventListener("change", filter);

const compare = (a, b) => {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
};
for (const table of every("table.sortable")) {
  const heads = every("thead th", table);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const direction = head.ariaSort === "ascending" ? -1 : 1;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      const value = (row) => (row.cells[column] ?? row.cells[row.cells.length - 1]).dataset.value;
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => direction * compare(value(a), value(b)));
      body.append(...rows);
    });
  });
}
