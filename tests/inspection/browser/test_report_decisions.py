"""Deciding on a report opened from disk, and taking the decisions into the review."""

from pathlib import Path

from pages import HOSTILE, answer, cards, open_page, press, sign
from playwright.sync_api import Download, Page, expect

from inspection.review.database import open_database
from inspection.review.decisions import DecisionFile, read_decisions
from inspection.review.import_decisions import import_decisions
from inspection.review.log import find_batch, read_log
from inspection.review.register import read_report, register
from inspection.review.state import states

REASON = '=HYPERLINK("x") <b>bold</b>\u202e'


def exported(page: Page, folder: Path) -> DecisionFile:
    """Press "Export decisions"; the file as the importer reads it."""
    with page.expect_download() as waiting:
        page.click("#export")
    download: Download = waiting.value
    assert download.suggested_filename == "decisions-batch.json"
    download.save_as(folder / "decisions.json")
    return read_decisions(folder / "decisions.json")


def log_of(page: Page, card: int) -> list[str]:
    """The lines below the card of this number."""
    page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate("number => go(CARDS[number - 1])", card)
    return page.locator("#cards .card.current .log li").all_inner_texts()


def test_keys_and_buttons_decide_and_the_file_has_it_all(
    page: Page, report: Path, tmp_path: Path
) -> None:
    open_page(page, report, "card=1&advance=off")
    sign(page)
    expect(page.locator("#export")).to_be_disabled()
    press(page, "1jx")
    page.locator("#cards .card .reason input").nth(2).fill("edge, not surface")
    cards(page).nth(2).locator("button", has_text="It is class 4").click()
    press(page, "3h")  # as proposed, and all is decided: no reason is asked for
    press(page, "u")
    expect(page.locator("#progress")).to_have_text("3 of 6 decided")
    expect(page.locator("#ledger")).to_have_text("6 decisions, 6 not exported.")
    found = exported(page, tmp_path)
    assert found.batch.name == "batch"
    kinds = [(entry.kind, entry.strip, getattr(entry, "left", None)) for entry in found.decisions]
    assert kinds == [
        ("confirm", "coil A/0.png", 224),
        ("reject", "coil A/1.png", 224),
        ("reclass", "coil A/2.png", 224),
        ("reclass", "coil A/2.png", 224),
        ("disposition", "coil A/2.png", None),
        ("undo", "coil A/2.png", None),
    ]
    assert {entry.reviewer for entry in found.decisions} == {"A. Smith"}
    assert [entry.reason for entry in found.decisions][2] == "edge, not surface"
    third, fourth, hold, undo = found.decisions[2:]
    assert fourth.in_view_of == (third.id,)
    assert undo.kind == "undo"
    assert undo.undoes == hold.id
    expect(page.locator("#ledger")).to_have_text("6 decisions.")


def test_what_was_decided_offline_holds_in_the_review(
    page: Page, report: Path, tmp_path: Path
) -> None:
    """The page works out what holds; so does the database, from the same file: both agree."""
    open_page(page, report, "card=1&advance=off")
    sign(page)
    press(page, "c3u")  # the confirmation holds again
    press(page, "jxu")  # nothing holds
    press(page, "r")
    answer(page, "edge")
    press(page, "jja")
    answer(page, "customer agrees")
    shown = [log_of(page, number) for number in range(1, 5)]
    assert [len(lines) for lines in shown] == [1, 1, 0, 1]
    exported(page, tmp_path)
    database = open_database(f"sqlite:///{tmp_path / 'review.db'}", create=True)
    register(database, read_report(report))
    (taken,) = import_decisions(database, [tmp_path / "decisions.json"])
    assert taken.added == 7
    with database.reading() as connection:
        batch = find_batch(connection, read_report(report).record["fingerprint"])
        known = states(read_log(connection, batch.id)).values()
    outcomes = sorted(
        (state.status, *(entry.outcome for entry in state.current)) for state in known
    )
    assert outcomes == [
        ("decided", ("confirm", "")),
        ("decided", ("disposition", "accept")),
        ("decided", ("disposition", "rework")),
        ("open",),
    ]


def test_decisions_outlive_the_page(page: Page, report: Path) -> None:
    open_page(page, report, "card=2")
    sign(page, "B. Jones")
    press(page, "c")
    page.reload()
    expect(page.locator("#signer")).to_have_text("B. Jones · not you?")
    assert "B. Jones" in log_of(page, 2)[0]
    # Another tab has them too, and both keep what either adds.
    other = page.context.new_page()
    open_page(other, report, "card=3")
    press(other, "x")
    press(page, "x")
    expect(page.locator("#progress")).to_have_text("2 of 6 decided")
    expect(page.locator("#ledger")).to_have_text("3 decisions, 3 not exported.")
    page.reload()
    assert [len(log_of(page, number)) for number in (2, 3)] == [1, 1]
    other.close()


def test_texts_of_people_stay_texts(page: Page, report: Path, tmp_path: Path) -> None:
    open_page(page, report, "card=1")
    sign(page, "<script>alert(1)</script>")
    cards(page).first.locator(".reason input").fill(REASON.removesuffix("\u202e"))
    press(page, "c")
    line = log_of(page, 1)[0]
    assert "<script>alert(1)</script>" in line
    assert '=HYPERLINK("x") <b>bold</b>' in line
    assert page.locator("#cards script, #cards .log q b").count() == 0
    assert exported(page, tmp_path).decisions[0].reviewer == "<script>alert(1)</script>"


def test_filters_know_the_decisions(page: Page, report: Path) -> None:
    open_page(page, report, "card=1")
    sign(page)
    press(page, "cjx")
    page.select_option("[data-state=review]", "decided")
    expect(page.locator("#matches")).to_have_text("2 of 6 shown")
    page.select_option("[data-state=review]", "open")
    expect(page.locator("#matches")).to_have_text("4 of 6 shown")


def test_a_strip_without_indications_is_disposed_of_in_its_view(
    page: Page, report: Path, tmp_path: Path
) -> None:
    open_page(page, report)
    sign(page)
    page.locator("#strip-map .name", has_text=HOSTILE).click()
    page.locator("#viewer button", has_text="Scrap").click()
    expect(page.locator("#ask")).to_contain_text("Proposed is: accept.")
    answer(page, "torn edge")
    expect(page.locator("#viewer .log")).to_contain_text("Strip: scrap, A. Smith")
    page.locator("#viewer [data-act=close]").click()
    row = page.locator("#strip-map .row", has_text=HOSTILE)
    expect(row.locator(".decided")).to_have_text("✓ scrap")
    (entry,) = exported(page, tmp_path).decisions
    assert (entry.kind, entry.strip) == ("disposition", f"coil B/{HOSTILE}")


def test_undo_can_be_undone(page: Page, report: Path, tmp_path: Path) -> None:
    open_page(page, report, "card=1&advance=off")
    sign(page)
    press(page, "c")
    cards(page).first.locator(".log button").click()
    expect(cards(page).first.locator(".log li")).to_have_count(0)
    press(page, "x")
    assert "no defect" in log_of(page, 1)[0]
    kinds = [entry.kind for entry in exported(page, tmp_path).decisions]
    assert kinds == ["confirm", "undo", "reject"]


def test_a_browser_that_keeps_nothing_says_so(page: Page, report: Path) -> None:
    page.add_init_script("delete window.localStorage; Object.defineProperty(window, 'localStorage',"
                         " { get() { throw new DOMException('denied') } });")  # fmt: skip
    open_page(page, report, "card=1")
    sign(page)
    press(page, "c")
    expect(page.locator("#ledger")).to_contain_text("this browser keeps none: export before")
    assert log_of(page, 1)[0].startswith("Patch: confirmed")
