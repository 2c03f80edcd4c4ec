"use strict";
// The defect catalogue of the policy: colours of classes, and what they look like.

/** Colours of our own choice give way; on dark ground a lighter shade is taken. */
function colourClasses() {
  const told = CLASSES.filter(({ colour, style }, index) =>
    colour && CLASSES.findIndex((other) => other.style === style) === index);
  const shades = (dark) => told.map(({ colour, style }) =>
    `--k${style}: ${dark ? `color-mix(in srgb, ${colour} 55%, white)` : colour};`).join(" ");
  if (!told.length) return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`:root { ${shades(false)} } @media screen and (prefers-color-scheme: dark) { :root { ${shades(true)} } }`);
  document.adoptedStyleSheets.push(sheet);
}

function wireCatalogue() {
  const dialog = find("#catalogue");
  if (!dialog) return;
  for (const image of every("[data-picture]", dialog)) image.src = source(image.dataset.picture);
  for (const button of every("[data-act=catalogue]")) button.addEventListener("click", () => dialog.showModal());
}

colourClasses();
wireCatalogue();
