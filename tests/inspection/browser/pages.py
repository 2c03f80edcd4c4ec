"""Reports that the browser tests open, and what they read off a page."""

from pathlib import Path

from playwright.sync_api import Locator, Page
from toy_reports import report_of
from toys import FakeExplainer, strip, write_strip

HOSTILE = "<img src=x onerror=alert(1)>.png"


def make_report(root: Path, **settings: str) -> Path:
    """Nine strips in two coils, one unreadable; the last indication has no map.

    Cards 1 to 5 are class 1, from strips "coil A/0.png" on; card 6 is class 2.
    """
    for number in range(5):
        bright = strip(1024, bright=[300 + 30 * number])
        write_strip(root / "batch" / "coil A" / f"{number}.png", bright)
    write_strip(root / "batch" / "coil B" / "black.png", strip(512, black=[40]))
    write_strip(root / "batch" / "coil B" / HOSTILE, strip(512))
    write_strip(root / "batch" / "coil B" / "plain.png", strip(1600))
    (root / "batch" / "coil B" / "torn.jpg").write_bytes(b"no image")
    explainer = FakeExplainer(statuses={2: "no positive gradient"})
    report_of(root / "batch", root / "report", explainer, mm_per_px=0.5, **settings)
    return root / "report"


def open_page(page: Page, report: Path, state: str = "") -> None:
    """Open a report from disk, at a state of its address, and wait for its lists."""
    page.goto(f"{(report / 'index.html').as_uri()}{f'#{state}' if state else ''}")
    page.wait_for_selector("html[data-ready]", state="attached")


def cards(page: Page) -> Locator:
    return page.locator("#cards .card")


def numbers(page: Page) -> list[str]:
    """The numbers of the cards in the page, in their order."""
    return page.locator("#cards .card [data-text=number]").all_inner_texts()


def current(page: Page) -> str:
    """The number of the card with the frame."""
    return page.locator("#cards .card.current [data-text=number]").inner_text()


def press(page: Page, keys: str) -> None:
    """Press keys one after the other, with the focus on the page itself."""
    page.evaluate("document.activeElement.blur()")
    for key in keys:
        page.keyboard.press(key)


def sign(page: Page, name: str = "A. Smith") -> None:
    """Enter a name by the chip in the toolbar."""
    page.click("#signer button")
    answer(page, name)


def answer(page: Page, text: str) -> None:
    """Answer the question in the dialog by mouse: keys in haste are passed over."""
    page.fill("#ask .answer", text)
    page.click("#ask [type=submit]")
    page.wait_for_selector("#ask", state="hidden")
