"""A shift at the report: one key a decision, on any layout, and nothing moves under the pointer."""

from collections.abc import Callable
from pathlib import Path

import pytest
from large_reports import enlarge
from pages import answer, cards, current, numbers, open_page, press, sign
from playwright.sync_api import Page, expect


@pytest.fixture(scope="module")
def fifteen(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen indications."""
    return enlarge(report, tmp_path_factory.mktemp("fifteen") / "report", 15).parent


@pytest.fixture
def send_key(page: Page) -> Callable[..., None]:
    """Send a key as another layout would."""

    def send(key: str, code: str, **more: bool) -> None:
        page.evaluate(
            "init => document.body.dispatchEvent(new KeyboardEvent('keydown',"
            " { bubbles: true, cancelable: true, ...init }))",
            {"key": key, "code": code, **more},
        )

    return send


def outcome(page: Page, card: int) -> list[str]:
    """What holds for the card of this number."""
    current = "n => stateOf(patchSubject(CARDS[n - 1])).current"
    found: list[str] = page.evaluate(f"{current}.map((one) => one.kind + valueOf(one))", card)
    return found


def test_fifteen_decisions_are_fifteen_keys(page: Page, fifteen: Path) -> None:
    open_page(page, fifteen, "card=1")
    sign(page)
    page.evaluate("window.pressed = 0; addEventListener('keydown', () => { window.pressed += 1 })")
    keys = "ccxcc3ccxc3cccc"
    press(page, keys)
    assert page.evaluate("window.pressed") == len(keys) == 15
    expect(page.locator("#progress")).to_have_text("15 of 15 decided")
    expect(page.locator("#progress progress")).to_have_js_property("value", 15)
    expect(page.locator("#announcer")).to_contain_text("All indications are decided.")
    assert [outcome(page, number)[0][:7] for number in range(1, 16)] == [
        {"c": "confirm", "x": "reject", "3": "reclass"}[key] for key in keys
    ]
    expect(page.locator("#strip-map .mark.done")).to_have_count(15)
    mark = page.locator("#strip-map .mark").nth(2).get_attribute("aria-label")
    assert mark is not None
    assert mark.endswith(", no defect")


def test_the_next_open_one_and_words_where_there_is_none(page: Page, report: Path) -> None:
    word = page.locator("#announcer")
    open_page(page, report, "card=1")
    sign(page)
    press(page, "u")
    expect(word).to_have_text("There is nothing to undo.")
    press(page, "k")
    expect(word).to_have_text("This is the first one.")
    press(page, "cjc")  # 1, then past 2, and 3
    assert current(page) == "4"
    press(page, "jj")
    assert current(page) == "6"
    press(page, "j")
    expect(word).to_have_text("This is the last one.")
    press(page, "n")  # from the first again
    assert current(page) == "2"
    expect(page.locator(".card.current")).to_be_focused()
    expect(page.locator(".card.current")).to_be_in_viewport(ratio=0.5)
    press(page, "ccc")
    assert current(page) == "6"
    press(page, "n")
    expect(word).to_have_text("This is the only open one.")
    press(page, "cn")
    expect(word).to_have_text("All indications are decided.")
    # What was decided last is undone first, wherever it is; then nothing is left to undo.
    press(page, "u")
    expect(page.locator("#progress")).to_have_text("5 of 6 decided")
    press(page, "u")
    assert current(page) == "5"
    expect(page.locator("#progress")).to_have_text("4 of 6 decided")


@pytest.mark.slow
def test_auto_advance_is_a_switch_and_stays_in_the_address(page: Page, report: Path) -> None:
    open_page(page, report, "card=1")
    sign(page)
    page.get_by_label("Go on by itself").uncheck()
    press(page, "c")
    assert current(page) == "1"
    assert "advance=off" in page.url


def test_keys_of_other_layouts(page: Page, report: Path, send_key: Callable[..., None]) -> None:
    open_page(page, report, "card=1&advance=off")
    sign(page)
    presses: list[tuple[str, str, bool, list[str]]] = [
        ("C", "KeyC", False, ["confirm"]),  # Caps Lock
        ("ч", "KeyX", False, ["reject"]),  # Cyrillic
        ("с", "KeyC", False, ["confirm"]),  # Cyrillic, too: no Latin c
        ('"', "Digit3", False, ["reclassclass 3"]),  # French, without Shift
        ("2", "Digit2", True, ["reclassclass 2"]),  # French, with Shift
        ("3", "Numpad3", False, ["reclassclass 3"]),
        ("@", "Digit2", True, ["reclassclass 3"]),  # Shift and 2 on others: no key
        ("X", "KeyX", True, ["reclassclass 3"]),
        ("c", "KeyI", False, ["confirm"]),  # Dvorak: the letter, not the place
    ]
    for key, code, shift, expected in presses:
        send_key(key, code, shiftKey=shift)
        page.wait_for_timeout(0)
        assert outcome(page, 1) == expected, (key, code)
    send_key("/", "Digit7", shiftKey=True)  # German
    expect(page.locator("[data-state=q]")).to_be_focused()


def test_the_filter_open_stays_true(page: Page, report: Path) -> None:
    open_page(page, report, "review=open&card=1")
    sign(page)
    press(page, "c")
    expect(page.locator("#matches")).to_have_text("5 of 6 shown")
    assert current(page) == "2"
    expect(page.locator(".card.current")).to_be_focused()
    assert numbers(page)[0] == "2"
    press(page, "u")  # it is open again, and shown
    expect(page.locator("#matches")).to_have_text("6 shown")
    assert current(page) == "1"
    press(page, "cccccc")
    expect(page.locator("#nothing")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("All indications are decided.")


@pytest.mark.slow
def test_nothing_is_decided_unseen(page: Page, report: Path) -> None:
    word = page.locator("#announcer")
    open_page(page, report, "card=6")
    sign(page)
    before = page.evaluate("scrollY")
    page.focus("#toolbar [data-state=sort]")  # what sticks to the top is in sight
    assert page.evaluate("scrollY") == before
    page.evaluate("scrollTo(0, 0)")
    press(page, "c")
    expect(word).to_have_text("This one was out of sight. Press the key again to decide.")
    expect(page.locator(".card.current")).to_be_in_viewport(ratio=0.5)
    assert outcome(page, 6) == []
    press(page, "c")
    assert outcome(page, 6) == ["confirm"]
    assert current(page) == "1"
    page.evaluate("setState({ class: '2' })")  # which hides the current card
    press(page, "c")
    expect(word).to_contain_text("Choose an indication first")
    assert outcome(page, 1) == []


@pytest.mark.slow
def test_the_table_decides_as_the_cards_do(page: Page, report: Path) -> None:
    open_page(page, report, "view=table&review=open&card=1")
    sign(page)
    press(page, "cx")
    expect(page.locator("#table .line.current")).to_be_focused()
    assert page.locator("#table .line:not(.head) a").all_inner_texts() == ["3", "4", "5", "6"]
    page.select_option("[data-state=review]", "decided")
    lines = page.locator("#table .line:not(.head)")
    expect(lines.locator(":nth-child(11)")).to_have_text(["confirmed, class 1", "no defect"])


def test_nothing_moves_under_the_pointer(page: Page, report: Path) -> None:
    open_page(page, report, "review=open&card=2")
    sign(page)
    button = page.locator(".card.current .act-confirm")
    button.scroll_into_view_if_needed()
    before = button.bounding_box()
    button.dblclick()
    assert button.bounding_box() == before
    assert current(page) == "2"  # decided, and still there
    assert numbers(page)[:3] == ["1", "2", "3"]
    assert page.evaluate("entries.length") == 1
    # With the next decision it leaves, and the one that was clicked stays where it is.
    other = cards(page).nth(2).locator(".act-reject")
    other.scroll_into_view_if_needed()
    place = other.bounding_box()
    other.click()
    assert current(page) == "3"
    assert "2" not in numbers(page)
    after = page.locator(".card.current .act-reject").bounding_box()
    assert place is not None
    assert after is not None
    assert after["y"] == pytest.approx(place["y"], abs=1.5)


def test_a_reason_is_asked_for_where_it_matters(page: Page, report: Path) -> None:
    open_page(page, report, "card=1")
    sign(page)
    assert page.evaluate("CARDS[0].strip.disposition") == "hold"
    press(page, "a")
    ask = page.locator("#ask")
    expect(ask.locator("h2")).to_have_text("Accept: why?")
    expect(ask).to_contain_text("1 of 1 indication on this strip is open. Proposed is: hold.")
    page.click("#ask [type=submit]")
    expect(ask).to_contain_text("Please give a reason.")
    answer(page, "customer agrees")
    expect(page.locator(".card.current .log")).to_contain_text("customer agrees")
    press(page, "jh")
    expect(ask).to_contain_text("1 of 1 indication on this strip is open.")
    assert "Proposed" not in ask.inner_text()
    page.keyboard.press("Escape")
    press(page, "ckh")  # decided, and as proposed
    expect(ask).to_be_hidden()
    expect(page.locator(".card.current .log")).to_contain_text("Strip: hold")
