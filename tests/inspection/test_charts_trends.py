"""Charts of batches against figures worked out by hand."""

import re

import numpy as np
import pytest
from chart_reader import boxes, parsed, texts, titles, uses

from inspection.charts.trends import (
    BatchPoint,
    Interval,
    Limits,
    agreement,
    classes,
    rates,
)

LEFT, ACROSS = 72.0, 804.0


def point(number: int, flagged: int, **changed: object) -> BatchPoint:
    known: dict[str, object] = {
        "name": f"b{number}", "when": f"2026-03-{number:02}", "model": "toy ab",
        "href": f"#batch-{number}", "flagged": flagged, "patches": 100, "limits": None,
        "by_class": (("x", flagged),) if flagged else (), "kappa": None, "overkill": None,
        "escapes": None,
    }  # fmt: skip
    return BatchPoint(**(known | changed))  # type: ignore[arg-type]


LIMITS = Limits(0.02, 0.05, 0.1)
POINTS = (
    point(1, 5),
    point(2, 10, limits=LIMITS),
    point(3, 20, limits=LIMITS),
    point(4, 8, model="new cd"),
)


def across(*numbers: float) -> list[float]:
    return [LEFT + (number - 0.5) * ACROSS / 4 for number in numbers]


def test_rates_by_hand() -> None:
    drawing = rates(POINTS)
    assert drawing.summary == (
        "4 batches; outside their limits: b3 (20.0 %). Model: first toy ab, new cd from b4."
    )
    top, bottom = 50.0, 376.0 - 56.0
    unit = (bottom - top) / (1.08 * 0.2)
    np.testing.assert_allclose(
        uses(drawing, fill="var(--link)"),
        list(zip(across(1, 2, 4), [bottom - r * unit for r in (0.05, 0.1, 0.08)], strict=True)),
        atol=0.1,
    )
    ((left, high, right, low),) = boxes(drawing, "scrap")
    np.testing.assert_allclose((left + right) / 2, across(3), atol=0.1)
    assert (high + low) / 2 == pytest.approx(bottom - 0.2 * unit, abs=0.1)
    steps = [
        [float(n) for n in re.findall(r"[\d.]+", path.attrib["d"])]
        for path in parsed(drawing).iter("path")
        if path.get("stroke") == "var(--rework)"
    ]
    assert len(steps) == 2
    for step, level in zip(steps, (0.02, 0.1), strict=True):
        np.testing.assert_allclose((min(step[::2]), max(step[::2])), across(1.5, 3.5), atol=0.1)
        np.testing.assert_allclose(step[1::2], bottom - level * unit, atol=0.1)
    assert "b3, 2026-03-03: 20 of 100 flagged, 20.0 %, outside its limits" in titles(drawing)
    assert drawing.rows[2][-4:] == ("20.0 %", "2.0 %", "10.0 %", "outside")


@pytest.mark.parametrize("draw", [rates, lambda p: classes(p, {"x": 1}), agreement])
def test_a_change_of_model_is_marked_and_named_in_each(draw: object) -> None:
    drawing = draw(POINTS)  # type: ignore[operator]
    lines = [
        path.attrib["d"]
        for path in parsed(drawing).iter("path")
        if path.get("stroke") == "var(--ink)" and path.get("stroke-dasharray")
    ]
    assert lines
    for line in lines:
        np.testing.assert_allclose(
            [float(x) for x in re.findall(r"[ML]([\d.]+)", line)], across(3.5) * 2, atol=0.1
        )
    assert {"toy ab", "new cd"} <= {text for text, _ in texts(drawing)}
    assert "new cd from b4" in drawing.summary


def test_classes_by_hand() -> None:
    mixed = (
        point(1, 10, by_class=(("x", 4), ("y", 6))),
        point(2, 0),
        point(3, 4, by_class=(("y", 3), ("x", 1))),
    )
    drawing = classes(mixed, {"x": 2, "y": 5})
    assert drawing.summary == "3 batches; over all of them y 64.3 %, x 35.7 %. All by toy ab."
    assert drawing.head == ("Batch", "y", "x")
    assert drawing.rows == (("b1", "6", "4"), ("b2", "0", "0"), ("b3", "3", "1"))
    top, bottom = 74.0, 356.0 - 56.0
    unit = bottom - top
    for fill, levels in (("k5", {0, 0.6, 0.75}), ("k2", {0, 0.6, 0.75, 1})):
        (stack,) = [
            path.attrib["d"]
            for path in parsed(drawing).iter("path")
            if path.get("fill") == f"var(--{fill})"
        ]
        found = {round((bottom - float(y)) / unit, 2) for y in re.findall(r" ([\d.]+)", stack)}
        assert found == levels


def test_many_classes_are_the_first_six_and_others() -> None:
    many = tuple((f"class {n}", 10 - n) for n in range(9))
    drawing = classes([point(1, sum(n for _, n in many), by_class=many)], {})
    written = [text for text, _ in texts(drawing)]
    assert "3 others" in written
    assert "class 5" in written
    assert "class 6" not in written
    assert len(drawing.head) == 10


def test_agreement_by_hand() -> None:
    decided = point(1, 5, kappa=0.5, overkill=Interval(0.2, 0.1, 0.4))
    drawing = agreement([decided, point(2, 5), point(3, 5, kappa=-0.25)])
    assert drawing.summary == (
        "1 of 3 batches with decided patches, 2 with a kappa. Bars are 95 % intervals. "
        "All by toy ab."
    )
    assert drawing.rows == (
        ("b1", "0.50", "20.0 % (10.0 % to 40.0 %)", "–"),
        ("b2", "–", "–", "–"),
        ("b3", "-0.25", "–", "–"),
    )
    (bar,) = [
        [float(n) for n in re.findall(r"[\d.]+", path.attrib["d"])]
        for path in parsed(drawing).iter("path")
        if path.get("stroke") == "var(--k2)"
    ]
    top, bottom = 200.0, 326.0
    unit = (bottom - top) / (1.08 * 0.4)
    np.testing.assert_allclose(bar[1::2], [bottom - 0.1 * unit, bottom - 0.4 * unit], atol=0.1)
    assert "b1: False alarms 20.0 % (10.0 % to 40.0 %)" in titles(drawing)
    assert "nothing decided yet" in [text for text, _ in texts(drawing)]


def test_two_hundred_batches_stay_small() -> None:
    third = Interval(0.3, 0.2, 0.4)
    many = [
        point(n, n % 30, limits=LIMITS, kappa=0.5, overkill=third, escapes=third)
        for n in range(200)
    ]
    for drawing in (rates(many), classes(many, {}), agreement(many)):
        assert len(drawing.svg) < 160_000
        assert drawing.svg == drawing.svg.__class__(drawing.svg)
