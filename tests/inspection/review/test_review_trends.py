"""Batches over time: what a rate is held against, and what is remembered of a batch."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from review_toys import decide, entry, make_report, registered_report, uuid
from test_review_holes import browser

from inspection.quality import laney
from inspection.review import overview as overview_module
from inspection.review.audit import draw, find_one
from inspection.review.database import Database, open_database
from inspection.review.overview import UNTOUCHED, Content, Overview, Overviews
from inspection.review.queries import newest_batches, number_of_batches
from inspection.review.register import _settings, read_report, register
from inspection.review.schema import batches
from inspection.review.server import pages
from inspection.review.server.trends import drawings, styles_of, trends
from inspection.store.tables import content_key
from sise.statistics import Rate

FLAGGED = (4, 6, 5, 5, 3, 7, 5, 5, 20, 5)


def seen(number: int, flagged: int, patches: int = 100, **changed: Any) -> Overview:
    by_class = (("class 1", flagged),) if flagged else ()
    known = {
        "batch_id": number, "name": f"b{number}",
        "inspected": datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number),
        "architecture": "toy", "bundle_sha256": "ab" * 32, "settings": "s",
        "classes": ("normal", "class 1", "class 2"),
        "content": Content(1, 1, (), patches, flagged, by_class), "progress": UNTOUCHED,
    }  # fmt: skip
    return Overview(**(known | changed))


def test_limits_come_from_the_batches_before() -> None:
    shown = trends([seen(i, n) for i, n in enumerate(FLAGGED)])
    limits = [trend.point.limits for trend in shown]
    assert limits[:8] == [None] * 8
    # p̄ = 40/800 = 0.05, σ = √(0.05·0.95/100); the moving ranges of the rates are 2, 1, 0, 2, 4,
    # 2, 0 of 100, their mean 11/7 %: σ_z = 0.0157143 / 1.128 / σ, so the reach is 3 · 0.0139311.
    assert limits[8] is not None
    assert (limits[8].low, limits[8].centre) == (pytest.approx(0.0082067, abs=1e-6), 0.05)
    assert limits[8].high == pytest.approx(0.0917933, abs=1e-6)
    assert [trend.point.outside for trend in shown] == [False] * 8 + [True, False]
    known = laney.baseline([laney.Subgroup("", "", n, 100) for n in FLAGGED[:9]])
    assert not isinstance(known, str)
    assert limits[9] is not None
    assert (limits[9].low, limits[9].high) == known.limits(100)


def test_other_models_and_settings_begin_anew() -> None:
    first = [seen(i, n) for i, n in enumerate(FLAGGED[:8])]
    other = [seen(8, 5, bundle_sha256="cd" * 32), seen(9, 5, settings="t"), seen(10, 0, 0)]
    shown = trends([*first, *other, seen(11, 5)])
    assert [trend.point.limits is None for trend in shown] == [True] * 11 + [False]
    assert [trend.point.model for trend in shown][7:] == [
        "toy abababab, settings 1",
        "toy cdcdcdcd",
        "toy abababab, settings 2",
        "toy abababab, settings 1",
        "toy abababab, settings 1",
    ]
    assert shown[10].point.rate is None


def test_drawings_name_the_change_and_are_drawn_once() -> None:
    shown = trends([seen(0, 5), seen(1, 5, bundle_sha256="cd" * 32, architecture="<b>$x$")])
    found = drawings(shown)
    assert [drawing.name for drawing in found] == [
        "trend-rates",
        "trend-classes",
        "trend-agreement",
    ]
    for drawing in found:
        assert "toy abababab, <b>$x$ cdcdcdcd from b1." in drawing.summary
        assert "&lt;b&gt;$x$ cdcdcdcd</text>" in drawing.svg
    assert drawings(shown) is found
    assert drawings([]) == ()


def test_styles_are_the_reports() -> None:
    names = ("normal", *(f"class {n}" for n in range(1, 9)))
    assert list(styles_of(names).values()) == [1, 2, 3, 4, 5, 6, 1, 2]


def test_only_the_newest_are_shown_and_the_page_says_so(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_BATCHES", 2)
    assert "No batch is registered" in browser(sqlite).get("/trends").text
    for number, day in enumerate((3, 1, 2)):
        report = make_report(tmp_path, {"a.png": ["class 1"]}, f"b{number}", seed=number)
        card = json.loads((report / "batch.json").read_text("utf-8"))
        card["ended"] = f"2026-11-0{day}T06:00:00+00:00"
        (report / "batch.json").write_text(json.dumps(card), "utf-8")
        assert register(sqlite, read_report(report))
    page = browser(sqlite).get("/trends").text
    assert "The newest 2 of 3 batches" in page
    assert "b1</bdi>" not in page
    assert page.index('id="batch-1"') < page.index('id="batch-3"')
    assert 'href="#batch-1"' in page


def test_overviews_follow_the_log(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strips = {"a.png": ["class 1", "class 1", "class 2", "normal", "black"]}
    report = registered_report(database, tmp_path, strips)
    registered_report(database, tmp_path, {"z.png": ["normal"]}, "other")
    known = Overviews()

    def look() -> list[Overview]:
        with database.reading() as connection:
            assert number_of_batches(connection) == 2
            return known.of(connection, newest_batches(connection, 10))

    other, own = look()
    assert (other.name, other.progress) == ("other", UNTOUCHED)
    assert own.content == Content(1, 1, (), 4, 3, (("class 1", 2), ("class 2", 1)))
    decide(database, report, entry(1, "reject", "a.png", 0))
    assert look()[1].progress.agreement.overkill == Rate(1, 1)
    decide(database, report, entry(2, "undo", "a.png", 0, undoes=uuid(1), seen=[1]))
    assert look()[1].progress.agreement.decided == 0
    with database.writing() as connection:
        draw(connection, find_one(connection, "b"), 1, seed=0)
    assert look()[1].progress.audits[0].decided == 0
    decide(database, report, entry(3, "confirm", "a.png", 768))
    assert look()[1].progress.audits[0].bound == pytest.approx(0.95)

    def never(*_: Any) -> Any:
        raise AssertionError("read again though nothing has changed")

    monkeypatch.setattr(overview_module, "_content", never)
    monkeypatch.setattr(overview_module, "_progress", never)
    assert look()[1].progress.audits[0].bound == pytest.approx(0.95)


def test_reports_tell_with_which_settings_they_were_made(sqlite: Database, tmp_path: Path) -> None:
    settings = []
    changes: tuple[dict[str, Any], ...] = (
        {}, {"device": "cuda"}, {"stride": 128}, {"thresholds": {"class 1": 0.4}},
        {"black_threshold": 0.5},
    )  # fmt: skip
    for number, changed in enumerate(changes):
        report = make_report(tmp_path, {"a.png": ["normal"]}, f"b{number}", seed=number)
        card = json.loads((report / "batch.json").read_text("utf-8"))
        config = {"stride": 224, "thresholds": {"class 1": 0.5}, "black_threshold": 0.95}
        card["config"] = config | changed
        (report / "batch.json").write_text(json.dumps(card), "utf-8")
        assert register(sqlite, read_report(report))
    with sqlite.reading() as connection:
        settings = list(connection.scalars(sa.select(batches.c.settings).order_by(batches.c.id)))
    assert settings[0] == settings[1]
    assert len(set(settings)) == 4


def test_a_database_of_the_first_version_is_brought_up_to_date(
    url: str, database: Database, tmp_path: Path
) -> None:
    report = registered_report(database, tmp_path, {"a.png": ["class 1"]})
    decide(database, report, entry(1, "confirm", "a.png", 0))
    with database.writing() as connection:
        connection.execute(sa.text("DROP TABLE releases"))
        for column in ("decisions.how", "decisions.authenticated", "batches.settings",
                       "batches.patch_size"):  # fmt: skip
            table, _, name = column.partition(".")
            connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN {name}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    again = open_database(url)
    with again.reading() as connection:
        (row,) = newest_batches(connection, 5)
    assert (row.name, row.settings, row.patch_size) == ("b", "", 256)
    assert not register(again, read_report(report))
    with again.reading() as connection:
        assert len(newest_batches(connection, 5)[0].settings) == 64


def test_the_settings_of_earlier_versions_keep_their_key() -> None:
    old = {"thresholds": {"class 1": 0.5}, "stride": 224, "black_threshold": 0.95}
    assert _settings({"config": old}) == content_key(**old)
    assert _settings({}) == content_key(thresholds=None, stride=None, black_threshold=None)
    keys = {_settings({"config": old | {"any_defect_threshold": value}}) for value in (0.5, 0.6)}
    assert len(keys | {_settings({"config": old})}) == 3
