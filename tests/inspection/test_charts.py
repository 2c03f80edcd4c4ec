"""Charts against figures worked out by hand, and what no chart may carry into a page."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
from chart_reader import attributes, boxes, parsed, texts, titles, uses

from inspection.charts.confidence import confidence, reference_shares
from inspection.charts.control import MOST_MARKS, control
from inspection.charts.drawing import Drawing, listed, percent, plain, shortened
from inspection.charts.pareto import ClassBar, pareto
from inspection.charts.reliability import LARGEST, reliability
from inspection.charts.themed import Caption, Foreign, themed
from inspection.quality.confidence import Bin, Reliability
from inspection.quality.drift import QUANTILES, Drift, Reference
from inspection.quality.laney import Baseline, Chart, Point, Subgroup, chart

HOSTILE = '<b onclick="a">&\'$x^2_{\\frac$ =1+1\n' + "Лист鋼🦊\u202e\0\ud800" + "x" * 300
PLOT = {"pareto": (14.0, 268.0), "control": (22.0, 292.0), "confidence": (34.0, 252.0)}
"""Top and bottom of each wide chart's plot, in its units: what `Box` leaves of the height."""


def bins(*patches: int, accuracy: float | None = None) -> tuple[Bin, ...]:
    edges = np.linspace(0, 1, len(patches) + 1).tolist()
    return tuple(
        Bin(low, high, n, (low + high) / 2 if n else None, accuracy if n else None)
        for low, high, n in zip(edges, edges[1:], patches, strict=False)
    )


def subgroups(*flagged: int, patches: int = 100, batch: str = "b") -> list[Subgroup]:
    return [Subgroup(batch, f"s{i}", n, patches) for i, n in enumerate(flagged, 1)]


EVEN = Reference("val", 1000, tuple(np.linspace(0, 1, QUANTILES).tolist()))


@cache
def all_of(name: str) -> list[Drawing]:
    """Every chart, with a name from outside wherever one can stand."""
    points = [*subgroups(1, 2, 3), Subgroup(name, name, 90, 100)]
    known = chart(points, subgroups(1, 2, 1, 2, 1, 2, 1, 2, 1))
    unknown = Chart((), tuple(Point(p, None, None) for p in points), None, name)
    return [
        pareto([ClassBar(name, name[:2], 1, 3, 2), ClassBar("b", "b", 2, 1, 1)]),
        pareto([]),
        control(known, {name: f"#{name}", "s1": "#strip-1"}),
        control(unknown, {}),
        control(Chart((), (), None, ""), {}),
        confidence(bins(0, 2, 5), EVEN, Drift(0.3, 0.2, 0.01, 7, 7, 0.2)),
        confidence(bins(0, 2, 5), None, None, name),
        confidence(bins(0, 0), EVEN, None),
        reliability(Reliability(bins(0, 2, 5, accuracy=0.5), 0.2)),
        reliability(Reliability(bins(0, 0), None)),
    ]


@pytest.mark.parametrize("number", range(10))
def test_a_chart_brings_nothing_into_a_page_but_marks_and_text(number: int) -> None:
    drawing = all_of(HOSTILE)[number]
    root = parsed(drawing)
    allowed = {"svg", "g", "path", "use", "defs", "clipPath", "rect", "text", "a", "title", "desc"}
    assert {element.tag for element in root.iter()} <= allowed
    names = {name for _, name, _ in attributes(drawing)}
    assert not {name for name in names if name.startswith("on") or ":" in name}
    assert not names & {"style", "font-family", "target", "onclick", "height"} - {"height"}
    assert "<?xml" not in drawing.svg
    assert "<!" not in drawing.svg
    assert (root.get("width"), root.get("height")) == ("100%", None)
    assert root.get("role") == ("img" if root.find(".//a") is None else "figure")
    assert root.get("viewBox", "").split()[:2] == ["0", "0"]
    assert [root[0].tag, root[1].tag] == ["title", "desc"]
    assert (root[0].text, root[1].text) == (drawing.title, drawing.summary)
    drawing.svg.encode()
    drawing.summary.encode()
    assert drawing.summary.isprintable()
    for row in drawing.rows:
        assert len(row) == len(drawing.head)
        assert all(cell.isprintable() for cell in row)


@pytest.mark.parametrize("number", range(10))
def test_colours_are_the_pages_own(number: int) -> None:
    drawing = all_of("a")[number]
    for _, name, value in attributes(drawing):
        if name in ("fill", "stroke"):
            assert re.fullmatch(r"none|var\(--[a-z]+\d?\)", value)
    assert "#" not in re.sub(r'href="#[\w-]+"|url\(#[\w-]+\)', "", drawing.svg)


@pytest.mark.parametrize("number", range(10))
def test_ids_are_the_charts_own_and_all_references_are_met(number: int) -> None:
    drawing = all_of("a")[number]
    ids = [value for _, name, value in attributes(drawing) if name == "id"]
    assert len(ids) == len(set(ids))
    assert all(value.startswith(f"{drawing.name}-") for value in ids)
    for tag, name, value in attributes(drawing):
        if name == "clip-path":
            assert value[5:-1] in ids
        if name == "href" and tag == "use":
            assert value[1:] in ids


def test_the_same_figures_give_the_same_bytes_whatever_the_process_is_set_to() -> None:
    first = all_of(HOSTILE)
    with mpl.rc_context({"font.size": 40, "svg.fonttype": "path", "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda _: all_of.__wrapped__(HOSTILE), range(3)))
        assert dict(mpl.rcParams) == before
    assert all(again == first for again in found)


@pytest.mark.parametrize("name", ["$x^2$", "<b>&", "a\n b", "Ж" * 9, "{{ 7*7 }}", "text:0"])
def test_a_name_comes_out_as_it_is(name: str) -> None:
    shown = plain(name)
    (point,) = subgroups(3)
    named = Subgroup("b", name, 9, 10)
    drawing = control(Chart((), (Point(point, 0, 0.1), Point(named, 0, 0.1)), None, ""), {})
    assert f"{shown}: 9 of 10 flagged, 90.0 %, outside the limits" in titles(drawing)
    assert shown in [text for text, _ in texts(drawing)]
    assert drawing.rows[1][0] == shown
    assert f"S {shown}" in [t for t, _ in texts(pareto([ClassBar(name, "S", 1, 3, 2)]))]


def test_only_fragments_are_links() -> None:
    targets = ["#strip-1", "javascript:alert(1)", "https://example.org", '#"><b>', "#a b", ""]
    points = subgroups(*range(1, len(targets) + 1))
    links = {point.name: target for point, target in zip(points, targets, strict=True)}
    drawing = control(chart(points, []), links)
    found = [(name, value) for tag, name, value in attributes(drawing) if tag == "a"]
    assert found == [("href", "#strip-1"), ("tabindex", "-1"), ("aria-hidden", "true")]
    assert parsed(drawing).get("role") == "figure"
    assert parsed(control(chart(points, []), {})).get("role") == "img"
    assert len(titles(drawing)) == len(targets)


def test_pareto_by_hand() -> None:
    bars = [ClassBar("a", "1", 1, 1, 1), ClassBar("b", "2", 2, 6, 4), ClassBar("c", "9", 9, 3, 3)]
    drawing = pareto(bars)
    assert drawing.rows == (
        ("b", "6", "4", "60.0 %", "60.0 %"),
        ("c", "3", "3", "30.0 %", "90.0 %"),
        ("a", "1", "1", "10.0 %", "100.0 %"),
    )
    assert drawing.summary == "10 flagged patches: b: 6 (60.0 %), c: 3 (30.0 %), a: 1 (10.0 %)."
    top, bottom = PLOT["pareto"]
    whole = (bottom - top) / 1.08
    # The ninth style is the third again: there are six.
    for fill, share, place in (("k2", 0.6, 0), ("k3", 0.3, 1), ("k1", 0.1, 2)):
        ((left, high, right, low),) = boxes(drawing, fill)
        assert low == pytest.approx(bottom, abs=0.06)
        assert low - high == pytest.approx(share * whole, abs=0.12)
        assert (left + right) / 2 == pytest.approx(72 + 384 * (place + 0.5) / 3, abs=0.1)
    line = uses(drawing, fill="var(--card)")
    for (_, y), share in zip(line, (0.6, 0.9, 1.0), strict=True):
        assert bottom - y == pytest.approx(share * whole, abs=0.12)
    written = [text for text, _ in texts(drawing)]
    assert {"2 b", "9 c", "1 a", "6 on 4 strips", "1 on 1 strip", "100 %"} <= set(written)


def test_words_below_the_bars_do_not_run_into_each_other() -> None:
    many = [ClassBar(str(n), str(n), n, 4285, 2857) for n in range(1, 5)]
    written = [text for text, _ in texts(pareto(many))]
    assert written.count("4285") == 4
    assert not [text for text in written if "strips" in text]


def test_a_pareto_without_flags_says_so() -> None:
    assert pareto([]).summary == "No patch is flagged."
    none = pareto([ClassBar("a", "1", 1, 0, 0)])
    assert [text for text, _ in texts(none)] == ["No patch is flagged"]
    assert none.rows == (("a", "0", "0", "–", "–"),)


def test_a_control_chart_by_hand() -> None:
    points = [
        Point(Subgroup("b", "first", 10, 100), 0.0, 0.2),
        Point(Subgroup("b", "second", 30, 100), 0.05, 0.25),
        Point(Subgroup("b", "third", 5, 100), 0.05, 0.25),
    ]
    drawing = control(Chart((), tuple(points), Baseline(0.1, 1.5, 20), ""), {"second": "#strip-2"})
    assert drawing.summary == (
        "3 strips against 20 earlier with a mean rate of 10.0 %; "
        "1 outside the limits: second (30.0 %, above)."
    )
    assert drawing.rows[1] == ("second", "30", "100", "30.0 %", "5.0 %", "25.0 %", "outside")
    top, bottom = PLOT["control"]
    whole = (bottom - top) / (1.08 * 0.3)
    # Without earlier ones the x axis goes from 0.5 to 3.5, and 1 % beyond.
    across = 804 / 3.03

    def at(number: float, rate: float) -> tuple[float, float]:
        return (72 + (number - 0.47) * across, bottom - rate * whole)

    np.testing.assert_allclose(
        uses(drawing, fill="var(--link)"), [at(1, 0.1), at(3, 0.05)], atol=0.1
    )
    ((left, high, right, low),) = boxes(drawing, "scrap")
    np.testing.assert_allclose(((left + right) / 2, (high + low) / 2), at(2, 0.3), atol=0.1)
    steps = [
        re.findall(r"[\d.]+", path.attrib["d"])
        for path in parsed(drawing).iter("path")
        if path.get("stroke") == "var(--rework)"
    ]
    corners = [np.array(step, float).reshape(-1, 2) for step in steps]
    lower, upper = corners
    np.testing.assert_allclose(
        lower, [at(0.5, 0), at(1.5, 0), at(1.5, 0.05), at(3.5, 0.05)], atol=0.1
    )
    np.testing.assert_allclose(
        upper, [at(0.5, 0.2), at(1.5, 0.2), at(1.5, 0.25), at(3.5, 0.25)], atol=0.1
    )
    assert (
        '<a href="#strip-2" tabindex="-1" aria-hidden="true"><title>second: 30 of 100'
        in drawing.svg
    )


def test_a_control_chart_without_limits_says_why() -> None:
    drawing = control(chart(subgroups(1, 2), subgroups(1, 2)), {})
    assert drawing.summary == ("2 strips. No limits: there are 2 earlier ones, and they need 8.")
    assert drawing.rows[0][4:] == ("–", "–", "–")
    assert "var(--rework)" not in drawing.svg


def test_only_the_last_sixty_earlier_subgroups_are_drawn() -> None:
    known = chart(subgroups(1, 2), subgroups(*[1, 2] * 40))
    drawing = control(known, {})
    assert len(uses(drawing, fill="var(--muted)")) == 60
    assert "earlier" in [text for text, _ in texts(drawing)]
    assert "against 80 earlier" in drawing.summary


@pytest.mark.parametrize("strips", [MOST_MARKS, MOST_MARKS + 1, 3000, 10_000])
def test_a_large_batch_stays_small(strips: int) -> None:
    noise = np.random.default_rng(0)
    sizes = noise.integers(20, 40, strips).tolist()
    points = [
        Subgroup("b", f"coil/strip {i:05}.jpg", int(noise.binomial(n, 0.07)), n)
        for i, n in enumerate(sizes)
    ]
    drawing = control(
        chart(points, points[:50]), {p.name: f"#strip-{p.name[11:16]}" for p in points}
    )
    assert len(drawing.svg) < 115_000
    assert len(drawing.rows) == strips
    if strips > MOST_MARKS:
        dots = next(p for p in parsed(drawing).iter("path") if p.get("stroke-linecap") == "round")
        assert dots.attrib["d"].count("h0") > 100
    crowded = control(Chart((), tuple(Point(p, 0, 0) for p in points), None, ""), {})
    assert len(crowded.svg) < 115_000


def test_confidence_by_hand() -> None:
    drawing = confidence(bins(0, 1, 1, 8), EVEN, Drift(0.3, 0.55, 0.01, 10, 10, 0.24))
    assert drawing.summary == (
        "10 patches, 0.0 % of them with a confidence above 90 %. "
        "The model is not as sure as in training: a large drift."
    )
    assert drawing.notes == (
        "PSI 0.30, KS 0.55. PSI of chance alone: below 0.24 in 99 of 100 such batches"
    )
    assert drawing.rows[3] == ("75–100 %", "8", "80.0 %", "25.0 %")
    top, bottom = PLOT["confidence"]
    whole = (bottom - top) / (1.08 * 0.8)
    heights = [low - high for _, high, _, low in boxes(drawing, "k1")]
    np.testing.assert_allclose(heights, [0, 0.1 * whole, 0.1 * whole, 0.8 * whole], atol=0.12)
    (outline,) = [
        path.attrib["d"]
        for path in parsed(drawing).iter("path")
        if path.get("stroke") == "var(--ink)"
    ]
    levels = {float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", outline)}
    assert min(levels) == pytest.approx(bottom - 0.25 * whole, abs=0.1)
    assert confidence(bins(1), None, None, "no\nbundle").summary.endswith(
        "Not compared with training: no bundle."
    )


def test_the_references_shares_over_bins() -> None:
    np.testing.assert_allclose(reference_shares(EVEN, bins(1, 1, 1, 1)), [0.25] * 4)
    # Half of the crops at 0.5 exactly, the others at 1: (0, 0.5] holds the first half.
    steps = Reference("val", 10, tuple([0.5] * 100 + [1.0] * 101))
    np.testing.assert_allclose(reference_shares(steps, bins(1, 1)), [0.495, 0.505], atol=1e-9)
    assert sum(reference_shares(steps, bins(*[1] * 20))) == pytest.approx(1)


def test_reliability_by_hand() -> None:
    found = Reliability(
        (
            Bin(0, 0.5, 10, 0.4, 0.5),
            Bin(0.5, 0.75, 0, None, None),
            Bin(0.75, 1, 40, 0.9, 0.7),
        ),
        0.18,
    )
    drawing = reliability(found)
    # (10 · (0.4 − 0.5) + 40 · (0.9 − 0.7)) / 50 = 0.14 too sure
    assert drawing.summary == (
        "Over 50 patches with known truth, confidence is off by 18.0 % on average. "
        "The model is overconfident."
    )
    assert drawing.rows[1] == ("50–75 %", "0", "–", "–")
    points = boxes(drawing, "k1")
    centres = [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in points]
    by_hand = [(76 + 424 * 0.4, 428 - 412 * 0.5), (76 + 424 * 0.9, 428 - 412 * 0.7)]
    np.testing.assert_allclose(centres, by_hand, atol=0.1)
    # matplotlib's area s is a square's: the circle in it has the diameter √s.
    diameters = [right - left for left, _, right, _ in points]
    np.testing.assert_allclose(diameters, [np.sqrt(LARGEST / 4), np.sqrt(LARGEST)], atol=0.15)
    assert "narrow" in parsed(drawing).get("class", "")


def test_a_colour_outside_the_theme_is_refused() -> None:
    source = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><g style="fill: #123456"/>'
    with pytest.raises(ValueError, match="#123456 is not the theme's"):
        themed(f"{source}</svg>", Caption("a", "b", "c"), Foreign({}, {}))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: percent(0.125), "12.5 %"),
        (lambda: percent(None), "–"),
        (lambda: listed(list("abc"), 2), "a, b and 1 more"),
        (lambda: shortened("coil/strip-0001.jpg", 9), "coil….jpg"),
        (lambda: shortened("short", 9), "short"),
        (lambda: plain(" a\r\n\tb\0 "), "a b�"),
    ],
)
def test_small_words(made: Callable[[], str], expected: str) -> None:
    assert made() == expected
