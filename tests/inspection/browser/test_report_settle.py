"""What holds after any decisions: the page (JavaScript) and the review (Python) say the same."""

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pages import make_report, open_page
from playwright.sync_api import Page

from inspection.review.state import Decision, state_of

LOGS = 1000
NOW = datetime(2026, 11, 1, tzinfo=UTC)
PATCH = (("confirm", ""), ("reject", ""), ("reclass", "class 1"), ("reclass", "class 2"))
STRIP = (("disposition", "accept"), ("disposition", "hold"), ("disposition", "scrap"))


def random_log(chance: random.Random) -> list[Decision]:
    """Up to twelve decisions on one subject, each in view of any of those before it."""
    log: list[Decision] = []
    outcomes = chance.choice((PATCH, STRIP))
    for number in range(chance.randrange(13)):
        earlier = [decision.uuid for decision in log]
        seen = tuple(uuid for uuid in earlier if chance.random() < chance.choice((0.1, 0.4, 0.9)))
        undoes = chance.choice(earlier) if earlier and chance.random() < 0.3 else None
        kind, value = ("undo", "") if undoes else chance.choice(outcomes)
        log.append(
            Decision(
                f"d{number}", ("patch", 1), kind, value, undoes,  # type: ignore[arg-type]
                "A. Smith", "", NOW, NOW, "server", seen,
            )
        )  # fmt: skip
    return log


def entry_of(decision: Decision) -> dict[str, Any]:
    """The decision as the page keeps it."""
    extra = {"reclass": {"class": decision.value}, "disposition": {"disposition": decision.value}}
    undone = {"undoes": decision.undoes} if decision.undoes else {}
    own = {"id": decision.uuid, "kind": decision.kind, "in_view_of": list(decision.in_view_of)}
    return own | extra.get(decision.kind, {}) | undone


def test_page_and_review_agree_on_random_histories(page: Page, tmp_path: Path) -> None:
    chance = random.Random(20261126)  # noqa: S311
    logs = [random_log(chance) for _ in range(LOGS)]
    ours = [state_of(log) for log in logs]
    assert {state.status for state in ours} == {"open", "decided", "disputed"}
    open_page(page, make_report(tmp_path))
    theirs = page.evaluate(
        "logs => logs.map(settle).map(state => ({ ...state, current: state.current.map("
        "entry => [entry.id, entry.value]) }))",
        [[entry_of(decision) for decision in log] for log in logs],
    )
    assert theirs == [
        {
            "status": state.status,
            "current": [[decision.uuid, decision.value] for decision in state.current],
            "tips": list(state.tips),
        }
        for state in ours
    ]
