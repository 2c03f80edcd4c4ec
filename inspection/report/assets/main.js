"use strict";
// The page put together: lists, toolbar, current indication.

/** @type {{cards: VirtualList, table: VirtualList}} set by `openLists`, where there is anything to list */
let lists;
/** @type {StripMap} set by `start` */
let map;
const SHOWN_ONE_BY_ONE = 20; // strips up to which each is shown anew by itself
const table = () => STATE.view === "table";
const activeList = () => (table() ? lists.table : lists.cards);

function redraw(card) {
  lists.cards.refresh(card);
  lists.table.refresh(card);
  if (LOOK.card === card) showLookDecision();
}

/** Show what holds now for strips and their patches. @param {Strip[]} strips */
function showDecided(strips) {
  if (strips.length > SHOWN_ONE_BY_ONE) {
    showAll();
    return;
  }
  for (const strip of strips) {
    if (lists) for (const card of strip.cards) redraw(card);
    map.refresh(strip);
    if (find("#viewer").open && viewed === strip) showDecision();
  }
  showLedger();
}

/** Show how far acts have come. @param {Act[]} acts */
function showActs(acts) {
  if (!map) return; // not drawn yet
  showDecided(stripsOf(acts.flatMap((act) => act.entries)));
  showQueue();
}

function showAll() {
  lists?.cards.refreshAll();
  lists?.table.refreshAll();
  map.refreshAll();
  if (find("#viewer").open) showDecision();
  showLedger();
}

/** When somebody comes back to the page: what others decided meanwhile. */
async function renew() {
  if (document.visibilityState !== "visible") return;
  await comeBack();
  if (!(await renewLedger())) return;
  showAll();
  showQueue();
}

function showControls() {
  for (const control of every("[data-state]")) {
    const value = STATE[control.dataset.state];
    if (control.type === "radio") control.checked = control.value === value;
    else if (control.type === "checkbox") control.checked = value === "on";
    else if (control !== document.activeElement || control.tagName === "SELECT") control.value = value;
  }
  const classes = new Set(STATE.class.split(",").filter(Boolean));
  for (const box of every("[data-class]")) box.checked = !classes.size || classes.has(box.dataset.class);
}

function showLook() {
  const root = document.documentElement;
  root.style.setProperty("--overlay", String(Number(STATE.overlay) / 100));
  root.dataset.palette = STATE.palette;
  find(".ramp")?.replaceChildren(clone(`ramp-of-${STATE.palette}`));
}

const LISTED = ["q", "class", "disposition", "weak", "truth", "review", "show", "sort", "view"];

function onChange(changed) {
  showControls();
  if (changed.has("overlay")) dimmed.clear();
  if (changed.has("palette") || changed.has("overlay")) showLook();
  if (changed.has("overlay")) lists.cards.refreshAll();
  if (LISTED.some((name) => changed.has(name))) {
    lingering.clear();
    showList();
  }
  if (changed.has("print")) preparePrint();
}

function wireControls() {
  for (const control of every("[data-state]")) {
    const type = control.type === "search" || control.type === "range" ? "input" : "change";
    control.addEventListener(type, () => {
      const { state } = control.dataset;
      setState({ [state]: control.type === "checkbox" ? (control.checked ? "on" : "off") : control.value });
    });
  }
  const boxes = every("[data-class]");
  for (const box of boxes) {
    box.addEventListener("change", () => {
      const on = boxes.filter((other) => other.checked).map((other) => other.dataset.class);
      setState({ class: on.length === boxes.length ? "" : on.join(",") || "none" });
    });
  }
  const acts = {
    reset: () => setState(usualState()),
    export: () => {
      exportDecisions();
      showLedger();
    },
    print: printPage,
    bulk: confirmSeveral,
    help: () => find("#help").showModal(),
  };
  for (const [name, act] of Object.entries(acts)) {
    for (const button of every(`[data-act=${name}]`)) button.addEventListener("click", act);
  }
}

/** Links to places on the page leave the state in the address alone. */
function wireLinks() {
  for (const link of every("nav.sections a[href^='#'], a.skip, .plot a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const name = link.getAttribute("href").slice(1);
      if (name.startsWith("strip-")) {
        openViewer(STRIPS[name.slice("strip-".length)]);
        return;
      }
      const place = document.getElementById(name);
      if (!place) return;
      place.scrollIntoView();
      if (!place.hasAttribute("tabindex")) place.tabIndex = -1;
      place.focus({ preventScroll: true });
    });
  }
  const back = find(".review-link");
  if (served && server) {
    back.hidden = false;
    back.href = `../../batches/${served[1]}`;
  }
}

/** Anchors land below what sticks to the top. */
function watchSticky() {
  const observer = new ResizeObserver(measureSticky);
  for (const element of every(".sections, .toolbar")) observer.observe(element);
  measureSticky();
}

function preparePrint() {
  if (STATE.print) layOut(chosenCards(), Number(STATE.print) || undefined);
}

async function start() {
  Object.assign(STATE, readAddress() ?? {});
  readName();
  await openLedger();
  wireLinks();
  wireViewer();
  drawCoils();
  map = drawStripMap();
  wireControls();
  watchSticky();
  showSigner();
  showLedger();
  showQueue();
  if (CARDS.length) openLists();
  document.addEventListener("visibilitychange", renew);
  addEventListener("online", renew);
  watchOtherTabs(showDecided);
  preparePrint();
  document.documentElement.dataset.ready = "yes";
}

function openLists() {
  const holder = find("#table");
  holder.setAttribute("role", "table");
  holder.setAttribute("aria-label", say("Indications"));
  const body = make("div", { role: "rowgroup" });
  holder.append(make("div"), body);
  lists = {
    cards: new VirtualList(find("#cards"), {
      draw: drawCard, key: (card) => card.number, estimate: () => (innerWidth < 960 ? 900 : 470), gap: 20, overscan: 2,
    }),
    table: new VirtualList(body, {
      draw: drawLine, describe: describeLine, head: () => find(".line.head", holder), key: (card) => card.number, estimate: () => 36, overscan: 12,
    }),
  };
  showLook();
  showControls();
  showList();
  watch(onChange);
  const card = currentCard();
  if (card) go(card, false);
}

start();
