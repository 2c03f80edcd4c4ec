"""Many indications decided at once: a count, one reason, one undo."""

from pathlib import Path

import pytest
from large_reports import enlarge
from pages import answer, cards, open_page, press, sign
from playwright.sync_api import Page, expect
from serving import all_sent, open_served
from toy_reports import report_of
from toys import FakeExplainer, strip, write_strip

from inspection.review.database import Database, open_database
from inspection.review.log import find_batch, read_log
from inspection.review.register import read_report, register
from inspection.review.state import Decision


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strips: three indications of class 1 on one of them, and one on the other."""
    root = tmp_path_factory.mktemp("bulk")
    write_strip(root / "batch" / "a.png", strip(1600, bright=[40, 700, 1400]))
    write_strip(root / "batch" / "b.png", strip(512, bright=[40]))
    report_of(root / "batch", root / "report", FakeExplainer())
    return root / "report"


def log(database: Database, report: Path) -> list[Decision]:
    with database.reading() as connection:
        batch = find_batch(connection, read_report(report).record["fingerprint"])
        return read_log(connection, batch.id)


def test_all_shown_are_confirmed_and_taken_back_at_once(
    serve: str, page: Page, database: Database, report: Path
) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method))
    open_served(page, serve, "card=1")
    sign(page)
    count = page.evaluate("CARDS.length")
    press(page, "x")
    all_sent(page)
    requests.clear()
    press(page, "b")
    choices = page.locator("#ask .choices label")
    rest = count - 1
    expect(choices.first).to_have_text(f"All {rest} shown and open: confirm as class 1")
    answer(page, "seen in a row")
    all_sent(page)
    expect(page.locator("#progress")).to_have_text(f"{count} of {count} decided")
    assert requests == ["POST"]
    made = log(database, report)
    assert [(one.kind, one.reason) for one in made] == [
        ("reject", ""),
        *[("confirm", "seen in a row")] * rest,
    ]
    assert len({one.subject for one in made}) == count
    press(page, "u")
    all_sent(page)
    expect(page.locator("#announcer")).to_contain_text(f"{rest} decisions withdrawn")
    expect(page.locator("#progress")).to_have_text(f"1 of {count} decided")
    assert requests == ["POST", "POST"]
    undone = log(database, report)[count:]
    assert [one.undoes for one in undone] == [one.uuid for one in made[1:]]


@pytest.mark.slow
def test_the_same_for_the_strip(page: Page, report: Path) -> None:
    open_page(page, report, "card=1&advance=off")
    sign(page)
    press(page, "x")
    on_strip = page.evaluate("CARDS[0].strip.cards.length")
    assert on_strip >= 3
    same = cards(page).first.locator(".same")
    expect(same).to_have_text(f"The same for the {on_strip - 1} other open class 1 of this strip")
    same.click()
    expect(page.locator("#ask h2")).to_have_text(f"No defect: {on_strip - 1} indications")
    answer(page, "")
    expect(page.locator("#progress")).to_contain_text(f"{on_strip} of ")
    assert page.evaluate("CARDS[0].strip.cards.map((card) => stateOf(patchSubject(card)).current"
                         "[0].kind)") == ["reject"] * on_strip  # fmt: skip
    expect(page.locator(".same")).to_have_count(0)
    # The key offers the same for the current strip, where one is open.
    press(page, "u")
    expect(page.locator("#progress")).to_contain_text("1 of ")
    press(page, "b")
    strip_choice = page.locator("#ask .choices label").last
    expect(strip_choice).to_have_text(f"All {on_strip - 1} open on strip a.png: confirm as class 1")
    strip_choice.click()
    answer(page, "")
    expect(page.locator("#progress")).to_contain_text(f"{on_strip} of ")


@pytest.mark.slow
def test_five_thousand_at_once(page: Page, report: Path, tmp_path: Path) -> None:
    large = enlarge(report, tmp_path / "large", 5000).parent
    database = open_database(f"sqlite:///{tmp_path / 'review.db'}", create=True)
    register(database, read_report(large))
    open_page(page, large, "card=1")
    sign(page)
    press(page, "b")
    answer(page, "")
    expect(page.locator("#progress")).to_have_text("5\u202f000 of 5\u202f000 decided")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    expect(page.locator("#progress")).to_have_text("5\u202f000 of 5\u202f000 decided")
    with page.expect_download() as waiting:
        page.click("#export")
    waiting.value.save_as(tmp_path / "decisions.json")
    assert (tmp_path / "decisions.json").stat().st_size < 16 * 2**20
