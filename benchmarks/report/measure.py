"""How a large report behaves in headless Chromium: first paint, scrolling, memory.

A finished report is enlarged to so many indications (its flagged strips under new names, each
patch with pictures of its own), then opened three times in a fresh browser. Per opening: first
contentful paint and the moment when the lists stand, in ms after navigation; frames while the
cards scroll by 40 px a frame for some seconds; elements in the page and the scripts' heap, before
and after. The median of the openings is printed, as Markdown, or as JSON.

    python benchmarks/report/measure.py --report REPORT [--cards 10000] [--json]
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "inspection"))

from large_reports import enlarge

ROUNDS = 3
SECONDS = 5
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--enable-precise-memory-info",
)

_SCROLL = """
(seconds) => new Promise((done) => {
  document.querySelector("#cards").scrollIntoView({ behavior: "instant" });
  const frames = [];
  const begun = performance.now();
  let last = begun;
  const step = (now) => {
    frames.push(now - last);
    last = now;
    if (now - begun > 1000 * seconds) return done(frames.slice(2));
    scrollBy({ top: 40, behavior: "instant" });
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""
_STATE = "() => [document.querySelectorAll('*').length, performance.memory.usedJSHeapSize]"
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--cards", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.report.resolve().parent) as folder:
        begun = time.process_time()
        page = enlarge(arguments.report, Path(folder) / "large", arguments.cards)
        made = time.process_time() - begun
        found = measure(page)
    found |= {"cards": arguments.cards, "made_cpu_s": round(made, 1)}
    print(json.dumps(found, indent=2) if arguments.json else as_markdown(found))


def measure(index: Path) -> dict[str, Any]:
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    openings = []
    with sync_playwright() as playwright:
        for _ in range(ROUNDS):
            browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            openings.append(open_once(browser, index))
            version = browser.version
            browser.close()
    medians = {name: statistics.median(o[name] for o in openings) for name in openings[0]}
    files = {
        f"{name}_bytes": (index.parent / name).stat().st_size
        for name in ("index.html", "data/report.js")
    }
    return {"chromium": version, **{k: round(v, 1) for k, v in medians.items()}, **files}


def open_once(browser: Browser, index: Path) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(index.as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
    ready = page.evaluate("() => performance.now()")
    page.wait_for_timeout(1000)
    paint = page.evaluate(_PAINT)
    elements, heap = page.evaluate(_STATE)
    frames = page.evaluate(_SCROLL, SECONDS)
    after, heap_after = page.evaluate(_STATE)
    return {
        "first_paint_ms": paint,
        "ready_ms": ready,
        "frame_median_ms": statistics.median(frames),
        "frame_p95_ms": statistics.quantiles(frames, n=20)[-1],
        "frames_over_50_ms_percent": 100 * sum(frame > 50 for frame in frames) / len(frames),
        "frames_per_second": 1000 * len(frames) / sum(frames),
        "elements": elements,
        "elements_after_scrolling": after,
        "heap_mb": heap / 2**20,
        "heap_after_scrolling_mb": heap_after / 2**20,
    }


def as_markdown(found: dict[str, Any]) -> str:
    return "\n".join(
        ["| figure | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in found.items())]
    )


if __name__ == "__main__":
    main()
