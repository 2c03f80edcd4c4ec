from dataclasses import replace
from typing import Any

import pytest

from inspection.pipeline.record import Counts, exit_status
from inspection.pipeline.settings import FailOn


def counts(by_rule: dict[str, int], unreadable: int = 0, not_judged: int = 0) -> Counts:
    numbers: dict[str, Any] = dict.fromkeys(
        ("entries", "strips", "inspected", "skipped", "patches", "without_steel", "flagged",
         "explained", "without_map", "forwards"), 0
    )  # fmt: skip
    return Counts(
        **numbers,
        unreadable=unreadable,
        flagged_by_class={},
        dispositions=by_rule | ({"hold": unreadable} if unreadable else {}),
        dispositions_by_rule=by_rule,
        rules={},
        not_judged=not_judged,
    )


@pytest.mark.parametrize(
    ("by_rule", "unreadable", "fail_on", "status"),
    [
        ({"accept": 3}, 0, None, 0),
        ({"scrap": 3}, 0, None, 0),
        ({"accept": 3}, 1, None, 4),
        ({"hold": 1}, 0, "hold", 3),
        ({"hold": 1}, 0, "scrap", 0),
        ({"hold": 1}, 1, "hold", 3),
        ({"accept": 3}, 1, "hold", 4),
        ({"accept": 3}, 0, "any", 0),
        ({"accept": 3, "rework": 1}, 0, "any", 3),
        ({}, 2, "any", 4),
    ],
)
def test_exit_status(
    by_rule: dict[str, int], unreadable: int, fail_on: FailOn | None, status: int
) -> None:
    assert exit_status(counts(by_rule, unreadable), fail_on) == status


@pytest.mark.parametrize(("fail_on", "status"), [(None, 4), ("hold", 4), ("any", 4)])
def test_a_strip_that_could_not_be_judged_is_4(fail_on: FailOn | None, status: int) -> None:
    assert exit_status(counts({"accept": 3}, not_judged=1), fail_on) == status


def test_an_image_that_was_passed_over_makes_a_run_incomplete() -> None:
    assert exit_status(replace(counts({"accept": 3}), passed_over=1), None) == 4
