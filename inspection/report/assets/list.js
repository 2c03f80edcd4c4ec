"use strict";
// Long lists of which only what is in sight is in the page: @tanstack/virtual-core decides what.

/** An item's place among all, most of which are not in the page. */
function inSet(node, index, count) {
  node.setAttribute("aria-posinset", index + 1);
  node.setAttribute("aria-setsize", count);
}

class VirtualList {
  /**
   * @param {HTMLElement} holder   gets the items, absolutely placed
   * @param {{draw: (item: any) => HTMLElement, key: (item: any) => any, estimate: (item: any) => number,
   *          describe?: (node: HTMLElement, index: number, count: number) => void,
   *          scroller?: HTMLElement | null, head?: () => HTMLElement | null, gap?: number, overscan?: number}} options
   *   without a scroller, the window scrolls; `head` may stick above the items
   */
  constructor(holder, { draw, key, estimate, describe = inSet, scroller = null, head = () => null, gap = 0, overscan = 3 }) {
    this.holder = holder;
    this.draw = draw;
    this.key = key;
    this.describe = describe;
    this.scroller = scroller;
    this.head = head;
    this.pinned = -1;
    this.items = [];
    /** @type {Map<any, any>} */
    this.nodes = new Map();
    const core = VirtualCore;
    const own = scroller
      ? { getScrollElement: () => scroller, observeElementRect: core.observeElementRect,
          observeElementOffset: core.observeElementOffset, scrollToFn: core.elementScroll }
      : { getScrollElement: () => window, observeElementRect: core.observeWindowRect,
          observeElementOffset: core.observeWindowOffset, scrollToFn: core.windowScroll,
          initialOffset: () => scrollY };
    this.options = {
      ...own, gap, overscan, count: 0,
      estimateSize: (index) => estimate(this.items[index]),
      getItemKey: (index) => key(this.items[index]),
      onChange: () => this.#place(),
    };
    this.core = new core.Virtualizer(this.options);
    this.core._didMount();
    holder.classList.add("virtual");
    if (!scroller) {
      // What lies above may grow or shrink: the list's own offset on the page moves with it.
      new ResizeObserver(() => this.#update()).observe(document.body);
    }
  }

  setItems(items) {
    this.items = items;
    this.pinned = -1;
    for (const node of this.nodes.values()) node.remove();
    this.nodes.clear();
    this.#update();
  }

  /** Other items, most of which were there before: these keep their elements and measures. */
  changeItems(items) {
    const places = new Map(items.map((item, index) => [this.key(item), index]));
    this.items = items;
    this.pinned = -1;
    for (const [key, node] of this.nodes) {
      const index = places.get(key);
      if (index === undefined) {
        node.remove();
        this.nodes.delete(key);
      } else {
        node.dataset.index = String(index);
        this.describe(node, index, items.length);
      }
    }
    this.#update(true, true);
  }

  /** The element of an item, while it is in the page. */
  nodeOf(item) {
    return this.nodes.get(this.key(item)) ?? null;
  }

  /** Where an item lies in the window, px from its upper edge; null while it is not in the page. */
  topOf(item) {
    return this.nodeOf(item)?.getBoundingClientRect().top ?? null;
  }

  /** Draw an item anew, where it is in sight. */
  refresh(item) {
    const old = this.nodes.get(this.key(item));
    if (!old) return;
    const focused = document.activeElement instanceof HTMLElement && old.contains(document.activeElement) ? document.activeElement : null;
    const fresh = this.draw(item);
    fresh.dataset.index = old.dataset.index;
    fresh.style.transform = old.style.transform;
    this.describe(fresh, Number(old.dataset.index), this.items.length);
    old.replaceWith(fresh);
    this.nodes.set(this.key(item), fresh);
    this.core.measureElement(fresh);
    if (focused) (find(`[data-focus="${focused.dataset.focus}"]`, fresh) ?? fresh).focus({ preventScroll: true });
  }

  refreshAll() {
    for (const item of this.items) this.refresh(item);
  }

  /** Bring an item into sight and return its element. */
  show(item, align = "start") {
    const index = this.items.indexOf(item);
    if (index < 0) return null;
    this.pinned = index; // it must be in the page before it is in sight
    this.#update(true);
    this.core.scrollToIndex(index, { align });
    this.#place();
    return this.nodes.get(this.key(item)) ?? null;
  }

  /** Whether a part of an item that can be judged is in the window, px below what sticks to its top. */
  isInSight(item, stuck) {
    const box = this.nodeOf(item)?.getBoundingClientRect();
    return box !== undefined && box.bottom > stuck && box.top < innerHeight;
  }

  /** Tell the library what there is now; nothing, while the list is hidden. */
  #update(forced = false, measured = false) {
    const visible = this.holder.isConnected && this.holder.offsetParent !== null;
    const count = visible ? this.items.length : 0;
    const margin = visible && !this.scroller ? Math.round(this.holder.getBoundingClientRect().top + scrollY) : 0;
    if (!forced && this.core.options.count === count && this.margin === margin && this.laid === this.items) return;
    const fresh = this.laid !== this.items && !measured;
    this.margin = margin;
    this.laid = this.items;
    const sticky = this.scroller ? 0 : (parseFloat(styled.scrollPaddingTop) || 0) + (this.head()?.offsetHeight ?? 0);
    this.core.setOptions({
      ...this.options, count, scrollMargin: margin, scrollPaddingStart: sticky,
      // New functions each time: the library remembers what the old ones gave.
      getItemKey: (index) => this.key(this.items[index]),
      rangeExtractor: (range) => this.#withKept(VirtualCore.defaultRangeExtractor(range)),
    });
    this.core._willUpdate();
    if (fresh) this.core.measure();
    this.#place();
  }

  #place() {
    const shown = this.core.getVirtualItems();
    this.holder.style.height = `${this.core.getTotalSize()}px`;
    const keys = new Set(shown.map((item) => item.key));
    for (const [key, node] of this.nodes) {
      if (!keys.has(key)) {
        node.remove();
        this.nodes.delete(key);
      }
    }
    let next = this.holder.firstElementChild;
    for (const item of shown) {
      const node = this.#put(item.index, item, next);
      if (node === next) next = next?.nextElementSibling ?? null;
    }
  }

  /** @param {Element | null} before */
  #put(index, item, before = null) {
    const key = this.key(this.items[index]);
    let node = this.nodes.get(key);
    const fresh = !node;
    if (fresh) {
      node = this.draw(this.items[index]);
      node.dataset.index = index;
      this.describe(node, index, this.items.length);
      this.nodes.set(key, node);
      this.holder.insertBefore(node, before);
    }
    node.style.transform = `translateY(${item.start - (this.margin ?? 0)}px)`;
    if (fresh) this.core.measureElement(node);
    return node;
  }

  /** What was asked for and what has the focus stay, in sight or not: else the focus is lost. */
  #withKept(indexes) {
    const kept = new Set(indexes);
    /** @type {HTMLElement | null | undefined} */
    const node = document.activeElement?.closest("[data-index]");
    if (node?.parentElement === this.holder) kept.add(Number(node.dataset.index));
    kept.add(this.pinned);
    return [...kept].filter((index) => index >= 0 && index < this.items.length).sort((a, b) => a - b);
  }
}
