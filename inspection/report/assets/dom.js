"use strict";
// Small helpers that all scripts share. Text of data only ever becomes text, never HTML.

const THIN = "\u202f";

/** @type {(selector: string, root?: ParentNode) => any} */
const find = (selector, root = document) => root.querySelector(selector);
/** @type {(selector: string, root?: ParentNode) => any[]} */
const every = (selector, root = document) => [...root.querySelectorAll(selector)];
const slot = (root, name) => find(`[data-slot="${name}"]`, root);
const clone = (id) => find(`#${id}`).content.firstElementChild.cloneNode(true);

/** Set the text of the element [data-text=name], and show it; hide it for "". */
function write(root, name, text) {
  const element = find(`[data-text="${name}"]`, root);
  element.textContent = text;
  element.hidden = text === "";
}

/** An element with properties, and children that are nodes or texts. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Texts are looked up in the catalogue of the page's language, as in inspection/words: they are
// literals, so that a test finds what it lacks; `word` marks one that a variable carries to `say`.
/** @type {(text: string, values?: Record<string, unknown>) => string} */
const say = (text, values = {}) =>
  (REPORT.words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
/** @type {(count: number, one: string, many: string, values?: Record<string, unknown>) => string} */
const plural = (count, one, many, values = {}) => say(count === 1 ? one : many, { n: number(count), ...values });
const word = (text) => text;

const decimal = (value, digits) => {
  const text = value.toFixed(digits);
  return REPORT.language === "en" ? text : text.replace(".", ",");
};
const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, THIN);
const percent = (share, digits = 0) => `${decimal(100 * share, digits)}${THIN}%`;
/** A probability as per cent; what is only near 0 or 1 is never said to be it. */
const probability = (value) =>
  value < 0.005 ? `<${THIN}1${THIN}%` : value >= 0.995 ? `>${THIN}99${THIN}%` : percent(value);

/** A length in px as mm, or as m from one metre on; "" where the size of a pixel is not known. */
function metric(px) {
  if (REPORT.mmPerPx === null) return "";
  const mm = px * REPORT.mmPerPx;
  return mm < 1000 ? `${decimal(mm, mm < 10 ? 1 : 0)}${THIN}mm` : `${decimal(mm / 1000, 2)}${THIN}m`;
}

/** A term of the card with its meaning as tooltip; the guide (templates/guide.html.j2) has both. */
function term(name) {
  const entry = find(`#guide [data-term=${name}]`);
  return make("abbr", { textContent: entry.textContent, title: entry.nextElementSibling.textContent.trim() });
}

/** Where the browser finds an image: in the page itself, where it is a single file. */
const source = (path) => (typeof IMAGES === "undefined" ? undefined : IMAGES[path]) ?? path.split("/").map(encodeURIComponent).join("/");

/** Whether a picture is to be had: a single file may leave some out. */
const isHere = (path) => typeof IMAGES === "undefined" || path in IMAGES;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let silence;

/** Say something for a while: shown at the foot of the window, and read out. */
function announce(text) {
  find("#announcer").textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => find("#announcer").replaceChildren(), 6000);
}

const styled = getComputedStyle(document.documentElement);
document.documentElement.classList.add("js");
