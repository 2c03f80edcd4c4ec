"""A shift at the report by keyboard, in headless Chromium: seconds a decision costs.

A finished report is enlarged to so many indications. Each is decided by one key as soon as the
page has drawn the next one, from disk and through a review server. Measured are the keys, and for
each the ms from its event until the page with the next indication is drawn; through a server, the
seconds from the last key until all is stored. Then, in fresh pages, all indications are confirmed
at once, and that is undone: seconds until it is shown and until it is stored, and the longest time
without a frame.

What a person adds is a model (KLM: Card, Moran, Newell, 1980): a key K = 0.28 s, and M = 1.35 s to
make up one's mind. The name is asked for once: M, eight letters and Enter.

    python benchmarks/shift/measure.py --report REPORT [--cards 15 1500] [--bulk 5000] [--json]
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "inspection"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "inspection" / "browser"))

from large_reports import enlarge
from serving import running

from inspection.review.database import open_database
from inspection.review.register import read_report, register
from inspection.review.server.access import Access

KEY_S = 0.28
MIND_S = 1.35
NAME = "A. Smith"
KEYS = "cccxccc2cc"
"""Pressed again and again: mostly confirmed, as on most lines."""

_WATCH = """
() => {
  window.drawn = [];
  addEventListener("keydown", () => {
    const begun = performance.now();
    requestAnimationFrame(() => setTimeout(() => drawn.push(performance.now() - begun)));
  }, { capture: true });
}
"""
_FRAMES = """
() => {
  window.gaps = [];
  let last = performance.now();
  const step = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(step); };
  requestAnimationFrame(step);
}
"""
_NEXT_FRAME = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
_DECIDED = "() => CARDS.filter((card) => card.flagged && !isOpen(card)).length"
_WAITING = "() => QUEUE.length"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--cards", type=int, nargs="+", default=[15, 1500])
    parser.add_argument("--bulk", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    path = shutil.which("chromium") or shutil.which("google-chrome")
    found: dict[str, Any] = {"key_s": KEY_S, "mind_s": MIND_S, "shifts": [], "at_once": []}
    with (
        tempfile.TemporaryDirectory(dir=arguments.report.resolve().parent) as folder,
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])) as browser,
    ):
        found["chromium"] = browser.version
        for cards in dict.fromkeys([*arguments.cards, arguments.bulk]):
            index = enlarge(arguments.report, Path(folder) / str(cards), cards)
            for place in ("disk", "served"):
                with opened(browser, index, place) as page:
                    if cards in arguments.cards:
                        found["shifts"].append({"from": place, **shift(page, cards)})
                if cards == arguments.bulk:
                    with opened(browser, index, place) as page:
                        found["at_once"].append({"from": place, **at_once(page, cards)})
    print(json.dumps(found, indent=2) if arguments.json else as_markdown(found))


@contextmanager
def opened(browser: Browser, index: Path, place: str) -> Iterator[Page]:
    """The report in a fresh profile, at its first indication; "served": by a server of its own."""
    with tempfile.TemporaryDirectory() as folder, closing(browser.new_context()) as context:
        page = context.new_page()
        server = iter(())
        address = index.as_uri()
        if place == "served":
            database = open_database(f"sqlite:///{folder}/review.db", create=True)
            register(database, read_report(index.parent))
            server = running(database, Access(None))
            address = f"{next(server)}/reports/1/index.html"
        page.goto(f"{address}#card=1")
        page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
        yield page
        page.close()
        for _ in server:
            pass


def shift(page: Page, cards: int) -> dict[str, Any]:
    """Decide all by keys, the first of which asks for the name."""
    page.evaluate(_WATCH)
    page.keyboard.press("c")
    page.wait_for_timeout(700)  # keys in haste do not answer the question
    page.keyboard.type(NAME)
    page.keyboard.press("Enter")
    asked = len(NAME) + 1
    for number in range(1, cards):
        page.evaluate(_NEXT_FRAME)
        page.keyboard.press(KEYS[number % len(KEYS)])
    page.evaluate(_NEXT_FRAME)
    last = time.monotonic()
    while page.evaluate(_WAITING):
        page.wait_for_timeout(10)
    stored = time.monotonic() - last
    assert page.evaluate(_DECIDED) == cards
    drawn = page.evaluate("() => drawn")
    own = [drawn[0], *drawn[1 + asked :]]
    median = statistics.median(own) / 1000
    name_s = (MIND_S + asked * KEY_S) / cards
    return {
        "cards": cards,
        "keys_per_decision": len(own) / cards,
        "drawn_ms_median": round(1000 * median, 1),
        "drawn_ms_p95": round(statistics.quantiles(own, n=20)[-1], 1),
        "drawn_ms_most": round(max(own), 1),
        "stored_after_last_key_s": round(stored, 2),
        "s_per_decision_key_and_page": round(KEY_S + median + name_s, 2),
        "s_per_decision_with_mind": round(MIND_S + KEY_S + median + name_s, 2),
    }


def at_once(page: Page, cards: int) -> dict[str, Any]:
    """Confirm all that is shown, then undo that."""
    page.click("#signer button")
    page.fill("#ask .answer", NAME)
    page.click("#ask [type=submit]")
    confirmed = _time(page, lambda: _confirm_all(page), lambda done: done > 0)
    made = page.evaluate(_DECIDED)
    undone = _time(page, lambda: page.keyboard.press("u"), lambda done: done == 0)
    return {"cards": cards, "confirmed": made, "confirm": confirmed, "undo": undone}


def _confirm_all(page: Page) -> None:
    page.keyboard.press("b")
    page.locator("#ask .choices label", has_text="shown and open").last.click()
    page.click("#ask [type=submit]")


def _time(page: Page, act: Any, shown: Any) -> dict[str, float]:
    page.evaluate(_FRAMES)
    begun = time.monotonic()
    act()
    while not shown(page.evaluate(_DECIDED)):
        page.wait_for_timeout(10)
    seen = time.monotonic() - begun
    while page.evaluate(_WAITING):
        page.wait_for_timeout(20)
    stored = time.monotonic() - begun
    longest = page.evaluate(
        "() => new Promise((done) => setTimeout(() => done(Math.max(...gaps)), 300))"
    )
    return {
        "shown_s": round(seen, 2),
        "stored_s": round(stored, 2),
        "longest_without_frame_ms": round(longest),
    }


def as_markdown(found: dict[str, Any]) -> str:
    rows = found["shifts"]
    head = list(rows[0])
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(str(row[name]) for name in head)} |" for row in rows]
    return "\n".join([*lines, "", json.dumps(found["at_once"], indent=1)])


if __name__ == "__main__":
    main()
