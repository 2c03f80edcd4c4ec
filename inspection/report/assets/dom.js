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

const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, THIN);
const percent = (share) => `${(100 * share).toFixed(0)}${THIN}%`;
const probability = (value) => value.toFixed(3);
const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/** A length in px as mm, or as m from one metre on; "" where the size of a pixel is not known. */
function metric(px) {
  if (REPORT.mmPerPx === null) return "";
  const mm = px * REPORT.mmPerPx;
  return mm < 1000 ? `${mm.toFixed(mm < 10 ? 1 : 0)}${THIN}mm` : `${(mm / 1000).toFixed(2)}${THIN}m`;
}

/** Where the browser finds an image: in the page itself, where it is a single file. */
const source = (path) => (typeof IMAGES === "undefined" ? undefined : IMAGES[path]) ?? path.split("/").map(encodeURIComponent).join("/");

function announce(text) {
  find("#announcer").textContent = text;
}

const styled = getComputedStyle(document.documentElement);
document.documentElement.classList.add("js");
