"""Agreement and audits: numbers worked out by hand, or by another library."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_toys import decide, entry, registered_report
from sklearn.metrics import cohen_kappa_score

from inspection.review.agreement import cohens_kappa, compare, upper_bound
from inspection.review.audit import draw, find_one
from inspection.review.database import Database
from inspection.review.errors import SampleError
from inspection.review.reviewed import Reviewed
from inspection.review.stats import as_json, as_text, statistics
from sise.statistics import Rate

CLASSES = ("class 1", "class 2", "class 3")


def patch(verdict: str, human: str | None, month: int = 11, status: str = "") -> Reviewed:
    return Reviewed(
        patch_id=0, batch_id=1, strip="a", strip_sha256="", left=0, flagged=verdict != "normal",
        verdict=verdict, status=status or ("decided" if human else "open"), human=human,  # type: ignore[arg-type]
        decided=datetime(2026, month, 3, tzinfo=UTC) if human else None,
    )  # fmt: skip


def test_wilson_by_hand() -> None:
    found = Rate(1, 10)
    assert (found.hits, found.trials, found.share) == (1, 10, 0.1)
    # (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), z = 1.959964, n = 10, p = 0.1
    assert found.interval == pytest.approx((0.0178762, 0.4041500), abs=1e-6)
    assert (Rate(0, 0).share, Rate(0, 0).interval) == (None, None)


def test_the_upper_bound_by_hand() -> None:
    assert upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper_bound(0, 1) == pytest.approx(0.95)
    assert upper_bound(5, 5) == 1
    # One in ten: the rate p at which P(X <= 1) = (1-p)^10 + 10 p (1-p)^9 is 0.05.
    bound = upper_bound(1, 10)
    assert (1 - bound) ** 10 + 10 * bound * (1 - bound) ** 9 == pytest.approx(0.05)


def test_kappa_by_hand() -> None:
    pairs = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    # Observed 35/50, by chance (25·30 + 25·20)/50² = 0.5: (0.7 − 0.5) / 0.5
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([]) is None
    assert cohens_kappa([("a", "a")] * 3) is None


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_kappa_is_sklearns(pairs: list[tuple[str, str]]) -> None:
    found = cohens_kappa(pairs)
    if len({label for pair in pairs for label in pair}) == 1:
        assert found is None
    else:
        expected = cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs])
        assert found == pytest.approx(expected, abs=1e-12)


def test_comparison_counts() -> None:
    patches = [
        patch("class 1", "class 1"),
        patch("class 1", "class 1", month=10),
        patch("class 1", "normal"),
        patch("class 2", "class 1"),
        patch("normal", "normal"),
        patch("normal", "class 2", month=10),
        patch("class 3", None, status="disputed"),
        patch("class 3", None),
    ]
    found = compare(patches, CLASSES)
    every = found.overall
    assert (every.decided, every.confirmed, every.rejected, every.reclassed) == (6, 2, 1, 1)
    assert every.overkill == Rate(1, 4)
    assert every.escapes == Rate(1, 2)
    # Equal 3 of 6; by chance (3·3 + 1·1 + 2·2)/36 with model 1:3, 2:1, normal:2, people 3, 1, 2
    assert every.kappa == pytest.approx((1 / 2 - 14 / 36) / (1 - 14 / 36))
    assert (found.disputed, found.reopened) == (1, 1)

    first, second, third = (found.by_class[name] for name in CLASSES)
    assert (first.confirmed, first.rejected, first.reclassed) == (2, 1, 0)
    assert (first.overkill, first.escapes) == (Rate(1, 3), Rate(0, 2))
    # One against the rest: both say class 1 twice, model alone once, people alone once.
    assert first.kappa == pytest.approx((4 / 6 - 1 / 2) / (1 - 1 / 2))
    assert (second.confirmed, second.rejected, second.reclassed) == (0, 0, 1)
    assert (second.overkill, second.escapes) == (Rate(0, 1), Rate(1, 2))
    assert (third.decided, third.overkill.share, third.kappa) == (2, None, None)

    assert list(found.by_month) == ["2026-10", "2026-11"]
    october = found.by_month["2026-10"]
    assert (october.decided, october.confirmed, october.escapes) == (2, 1, Rate(1, 1))


def test_statistics_from_the_database(database: Database, tmp_path: Path) -> None:
    one = registered_report(
        database, tmp_path, {"a.png": ["class 1", "class 2", "normal"]}, "coil\n7"
    )
    two = registered_report(database, tmp_path, {"z.png": ["class 1", "normal"]}, "other")
    decide(
        database,
        one,
        entry(1, "confirm", "a.png", 0),
        entry(2, "reject", "a.png", 256),
        entry(3, "reclass", "a.png", 512, **{"class": "class 4"}, time="2026-12-01T00:30:00+01:00"),
    )
    decide(database, two, entry(4, "confirm", "z.png", 0), entry(5, "reject", "z.png", 0))
    with database.writing() as connection:
        batch = find_one(connection, "coil\n7")
        assert draw(connection, batch, 1, seed=0)[0].left == 512
    found = statistics(database)
    assert found.batches == 2
    assert found.comparison.overall.decided == 3
    assert found.comparison.overall.overkill == Rate(1, 2)
    assert found.comparison.overall.escapes == Rate(1, 1)
    assert found.comparison.disputed == 1
    assert list(found.comparison.by_month) == ["2026-11"]
    assert list(found.comparison.by_class) == ["class 1", "class 2", "class 3", "class 4"]
    (audit,) = found.audits
    assert (audit.size, audit.population, audit.decided, audit.escapes) == (1, 1, 1, 1)
    assert audit.bound == 1
    assert json.loads(json.dumps(as_json(found)))["audits"][0]["batch"] == "coil\n7"
    lines = as_text(found).splitlines()
    assert lines[0] == "2 batches; patches disputed 1, open again 0"
    assert lines[2].split()[:8] == ["all", "3", "1", "1", "0", "1/2", "=", "50.0%"]
    assert lines[-1] == (
        "audit of 'coil\\n7', 1 of 1 accepted patches, seed 0: 1 escapes in 1 decided; "
        "at most 100.00% of all escape (95 %)"
    )


def test_a_sample_is_of_accepted_steel_and_repeatable(database: Database, tmp_path: Path) -> None:
    report = registered_report(
        database,
        tmp_path,
        {f"{name}.png": ["normal", "class 1", "black", "normal"] for name in "abcde"},
    )
    with database.writing() as connection:
        batch = find_one(connection, "b")
        places = draw(connection, batch, 4, seed=0)
        assert draw(connection, batch, 4, seed=0) == places
        assert draw(connection, batch, 4, seed=1) != places
        whole = draw(connection, batch, 10, seed=0)
    assert {place.left for place in whole} == {0, 768}
    assert len(set(whole)) == 10
    assert len(set(places)) == 4
    assert set(places) < set(whole)
    found = statistics(database).audits
    assert [(audit.size, audit.seed, audit.bound) for audit in found] == [
        (4, 0, None),
        (4, 1, None),
        (10, 0, None),
    ]
    decide(
        database,
        report,
        *[entry(n, "confirm", place.strip, place.left) for n, place in enumerate(whole, 1)],
    )
    bounds = [audit.bound for audit in statistics(database).audits]
    np.testing.assert_allclose(np.array(bounds, float), [1 - 0.05 ** (1 / n) for n in (4, 4, 10)])
    unfinished = "; a bound when"
    assert unfinished not in as_text(statistics(database))


def test_every_accepted_patch_is_as_likely(database: Database, tmp_path: Path) -> None:
    registered_report(database, tmp_path, {"a.png": ["normal"] * 4})
    drawn = []
    with database.writing() as connection:
        batch = find_one(connection, "b")
        for seed in range(100):
            drawn += [place.left // 256 for place in draw(connection, batch, 1, seed)]
    counts = np.bincount(drawn, minlength=4)
    assert counts.sum() == 100
    assert counts.min() > 10


@pytest.mark.parametrize(("size", "seed"), [(0, 0), (3, 0), (1, -1), (1, 2**31)])
def test_samples_that_cannot_be_drawn(
    database: Database, tmp_path: Path, size: int, seed: int
) -> None:
    registered_report(database, tmp_path, {"a.png": ["normal", "class 1", "normal"]})
    with (
        pytest.raises(SampleError, match=r"--s\w+ must be"),
        database.writing() as connection,
    ):
        draw(connection, find_one(connection, "b"), size, seed)
    assert statistics(database).audits == ()


def test_a_batch_is_found_by_name_or_fingerprint(database: Database, tmp_path: Path) -> None:
    registered_report(database, tmp_path / "1", {"a.png": ["normal"]}, "b")
    registered_report(database, tmp_path / "2", {"a.png": ["normal", "normal"]}, "b")
    with database.reading() as connection:
        with pytest.raises(SampleError, match="2 batches of this name"):
            find_one(connection, "b")
        with pytest.raises(SampleError, match=r"0 batches of this name .* name one of 'b' "):
            find_one(connection, "")
