"use strict";
// The page put together: lists, toolbar, current indication.

/** @type {{cards: VirtualList, table: VirtualList}} set by `openLists`, where there is anything to list */
let lists;
/** @type {StripMap} set by `start` */
let map;
/** @type {Indication[]} */
let shown = [];

const currentCard = () => CARDS.find((card) => String(card.number) === STATE.card) ?? null;
const table = () => STATE.view === "table";
const activeList = () => (table() ? lists.table : lists.cards);

function redraw(card) {
  lists.cards.refresh(card);
  lists.table.refresh(card);
}

/** Show what holds after a decision on a strip or one of its patches. */
function decided(strip) {
  if (lists) for (const card of strip.cards) redraw(card);
  map.refresh(strip);
  if (find("#viewer").open && viewed === strip) showDecision();
  showLedger();
}

/** When somebody comes back to the page: what others decided meanwhile. */
async function renew() {
  if (document.visibilityState !== "visible" || !(await renewLedger())) return;
  lists?.cards.refreshAll();
  lists?.table.refreshAll();
  map.refreshAll();
  showLedger();
}

function showLedger() {
  const ledger = find("#ledger");
  const open = shown.filter((card) => statusOf(patchSubject(card)) === "open").length;
  const still = shown.length ? `${number(open)} of these ${number(shown.length)} open.` : "";
  find("#export").hidden = Boolean(server);
  find("#export").disabled = !entries.length;
  if (server) {
    ledger.textContent = `${still} Decisions go to the review at once.`;
    return;
  }
  const waiting = unexported();
  ledger.textContent = `${still} ${plural(entries.length, "{n} decision", "{n} decisions")}${waiting ? `, ${number(waiting)} not exported` : ""}${kept ? "" : "; this browser keeps none: export before you close the page"}.`;
}

/** Make a card the current one and bring it into sight. */
function go(card, focus = true) {
  if (!shown.includes(card)) {
    setState({ ...DEFAULTS, view: STATE.view, palette: STATE.palette, overlay: STATE.overlay, keys: STATE.keys, show: card.flagged ? "flagged" : "all" });
    announce("The filters hid this indication; all are shown again.");
  }
  const before = currentCard();
  setState({ card: String(card.number) });
  if (before && before !== card) redraw(before);
  redraw(card);
  const node = activeList().show(card);
  if (focus) node?.focus({ preventScroll: true });
}

function step(by) {
  if (!shown.length) return;
  const at = shown.findIndex((card) => card === currentCard());
  const next = at < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(Math.max(at + by, 0), shown.length - 1);
  go(shown[next]);
}

function showList() {
  shown = chosenCards();
  find("#cards").hidden = table() || !shown.length;
  find("#table").hidden = !table() || !shown.length;
  find("#nothing").hidden = shown.length > 0;
  const all = CARDS.filter((card) => STATE.show === "all" || card.flagged === (STATE.show !== "others")).length;
  find("#matches").textContent = shown.length === all ? `${number(all)} shown` : `${number(shown.length)} of ${number(all)} shown`;
  find("#table").firstElementChild.replaceWith(drawHead());
  find("#table").setAttribute("aria-rowcount", shown.length + 1);
  lists.cards.setItems(table() ? [] : shown);
  lists.table.setItems(table() ? shown : []);
  showLedger();
  keepInSight();
}

/** After another choice of cards: the current one stays in sight, or the list begins anew. */
function keepInSight() {
  const toolbar = find("#toolbar");
  const top = toolbar.getBoundingClientRect().top + scrollY;
  if (find(table() ? "#table" : "#cards").getBoundingClientRect().top > toolbar.getBoundingClientRect().bottom) return;
  const card = currentCard();
  if (card && shown.includes(card)) activeList().show(card);
  else scrollTo({ top: top - 60 });
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
  if (LISTED.some((name) => changed.has(name))) showList();
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
    reset: () => setState({ ...DEFAULTS, view: STATE.view, palette: STATE.palette, overlay: STATE.overlay, keys: STATE.keys }),
    export: () => {
      exportDecisions();
      showLedger();
    },
    print: printPage,
    help: () => find("#help").showModal(),
  };
  for (const [name, act] of Object.entries(acts)) {
    for (const button of every(`[data-act=${name}]`)) button.addEventListener("click", act);
  }
  const name = find("#reviewer");
  name.value = savedName();
  name.addEventListener("input", () => {
    saveName(name.value);
    if (name.value.trim()) refuse("");
  });
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
  const stuck = every(".sections, .toolbar");
  const measure = () => {
    const height = stuck.filter((element) => getComputedStyle(element).position === "sticky")
      .reduce((sum, element) => sum + element.offsetHeight, 0);
    document.documentElement.style.setProperty("--stuck", `${height}px`);
  };
  const observer = new ResizeObserver(measure);
  for (const element of stuck) observer.observe(element);
  measure();
}

function preparePrint() {
  if (STATE.print) layOut(chosenCards(), Number(STATE.print) || undefined);
}

async function start() {
  Object.assign(STATE, readAddress() ?? {});
  const trouble = await openLedger();
  wireLinks();
  wireViewer();
  map = drawStripMap();
  wireControls();
  watchSticky();
  showLedger();
  if (trouble) refuse(trouble);
  if (CARDS.length) openLists();
  document.addEventListener("visibilitychange", renew);
  watchOtherTabs((id) => decided(STRIPS.find((strip) => strip.strip_id === id)));
  preparePrint();
  document.documentElement.dataset.ready = "yes";
}

function openLists() {
  const holder = find("#table");
  holder.setAttribute("role", "table");
  holder.setAttribute("aria-label", "Indications");
  const body = make("div", { role: "rowgroup" });
  holder.append(make("div"), body);
  lists = {
    cards: new VirtualList(find("#cards"), {
      draw: drawCard, key: (card) => card.number, estimate: () => (innerWidth < 960 ? 900 : 470), gap: 20, overscan: 2,
    }),
    table: new VirtualList(body, {
      draw: drawLine, describe: describeLine, key: (card) => card.number, estimate: () => 36, overscan: 12,
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
