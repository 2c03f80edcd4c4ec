"""Similar patches, against a search by another library and against rules by hand."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors
from toy_reports import data_of, report_of
from toys import FakeExplainer, strip, write_strip

from inspection.errors import ReportFolderError
from inspection.quality import similar
from inspection.quality.similar import find_similar, nearest
from inspection.report.single import pictures
from inspection.store.reading import OpenedReport, open_report
from inspection.store.verify import Request, verify


@pytest.mark.parametrize("block", [1, 100, 2**24])
def test_the_nearest_are_those_of_scikit_learn(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "_BLOCK", block)
    drawn = np.random.default_rng(0).normal(size=(90, 16)).astype(np.float32)
    vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    of, among = vectors[:30], vectors[30:]
    places, cosines = nearest(of, among, 7)
    search = NearestNeighbors(n_neighbors=7, metric="cosine", algorithm="brute").fit(among)
    distances, expected = search.kneighbors(of)
    assert places.tolist() == expected.tolist()
    np.testing.assert_allclose(cosines, 1 - distances, atol=1e-5)


def test_there_may_be_fewer_than_asked_for_or_none() -> None:
    one = np.eye(2, dtype=np.float32)
    places, cosines = nearest(one, one[:1], 5)
    assert (places.tolist(), cosines.tolist()) == ([[0], [0]], [[1.0], [0.0]])
    assert nearest(one, one[:0], 5)[0].shape == (2, 0)


def patches(*rows: tuple[str, int, Sequence[float] | None]) -> pd.DataFrame:
    """Patches of 256 px by strip, left edge and features."""
    return pd.DataFrame(
        [
            {
                "strip_id": name, "strip_sha256": f"sha of {name}", "left": left, "top": 0,
                "size": 256, "target": "class 1", "raw_path": f"img/{name}-{left}.jpg",
                "features": None if own is None else np.array(own, np.float16).tobytes(),
            }
            for name, left, own in rows
        ]
    )  # fmt: skip


def opened(root: Path, rows: pd.DataFrame, model: str = "m") -> OpenedReport:
    root.mkdir(exist_ok=True)
    rows.to_parquet(root / "results.parquet")
    record = {"batch": root.name, "bundle": {"sha256": model}}
    return OpenedReport(root, record, rows, pd.DataFrame())


def pairs(found: pd.DataFrame) -> list[tuple[object, ...]]:
    names = ["strip_id", "left", "batch", "similar_strip_id", "similar_left"]
    return [tuple(row) for row in found[names].itertuples(index=False)]


def test_a_patch_that_overlaps_is_no_other_indication(tmp_path: Path) -> None:
    rows = patches(
        ("a", 0, [1, 0]), ("a", 224, [1, 0]), ("a", 448, [0.8, 0.6]), ("b", 0, [0.6, 0.8]),
        ("b", 224, None),
    )  # fmt: skip
    found = find_similar(opened(tmp_path / "now", rows), [])
    assert pairs(found)[:2] == [("a", 0, "", "a", 448), ("a", 0, "", "b", 0)]
    np.testing.assert_allclose(found["similarity"][:2], [0.8, 0.6], atol=1e-3)
    assert pairs(found[found["strip_id"] == "b"]) == [
        ("b", 0, "", "a", 448), ("b", 0, "", "a", 0), ("b", 0, "", "a", 224),
    ]  # fmt: skip


def test_of_earlier_reports_the_nearest_of_all_together(tmp_path: Path) -> None:
    now = opened(tmp_path / "now", patches(("a", 0, [1, 0])))
    earlier = [
        opened(tmp_path / "one", patches(("b", 0, [0.8, 0.6]), ("c", 0, [0, 1]), ("a", 0, [1, 0]))),
        opened(tmp_path / "two", patches(("d", 0, [1, 0]), ("e", 0, [0.6, 0.8]), ("f", 0, None))),
        opened(tmp_path / "other", patches(("g", 0, [1, 0])), model="another"),
        opened(tmp_path / "old", patches(("h", 0, [1, 0])).drop(columns="features")),
    ]
    found = find_similar(now, earlier)
    # Strip a was inspected then, too; another network's features say nothing; an old report has
    # none.
    assert pairs(found) == [
        ("a", 0, "two", "d", 0), ("a", 0, "one", "b", 0), ("a", 0, "two", "e", 0),
    ]  # fmt: skip
    (tmp_path / "two" / "results.parquet").write_bytes(b"PAR1")
    with pytest.raises(ReportFolderError, match="two: a damaged report"):
        find_similar(now, earlier)


def test_a_report_shows_what_was_alike_earlier_with_pictures_of_its_own(tmp_path: Path) -> None:
    write_strip(tmp_path / "old" / "x.png", strip(256, bright=[0]))
    write_strip(tmp_path / "old" / "y.png", strip(256, black=[0]))
    for number in range(2):
        write_strip(tmp_path / "new" / f"{number}.png", strip(256, bright=[40 * number + 20]))
    report_of(tmp_path / "old", tmp_path / "first", FakeExplainer())
    old = pd.read_parquet(tmp_path / "first" / "results.parquet").set_index("strip_id")
    report_of(tmp_path / "new", tmp_path / "second", FakeExplainer(), earlier=(tmp_path / "first",))
    shown = data_of(tmp_path / "second")
    assert shown["similar"] == {"card": [1, 2], "similarity": [1.0, 1.0], "other": [2, 1]}
    assert shown["earlier"]["similar_strip_id"] == ["x.png", "y.png"] * 2
    assert shown["earlier"]["batch"] == ["old"] * 4
    assert shown["earlier"]["similar_class"] == ["class 1", "class 2"] * 2
    # Shares of grey and bright, 15 to 1; of grey and black the same: 225 of 226 are common.
    np.testing.assert_allclose(shown["earlier"]["similarity"], [1, 225 / 226] * 2, atol=1e-3)
    ours = tmp_path / "second" / shown["earlier"]["raw_path"][0]
    assert ours.read_bytes() == (tmp_path / "first" / old.loc["x.png", "raw_path"]).read_bytes()
    assert shown["earlier"]["raw_path"][0] in pictures(open_report(tmp_path / "second"))
    assert not verify(Request(tmp_path / "second")).having("new", "changed", "missing")


def test_pictures_that_are_not_to_be_had_are_left_out(tmp_path: Path) -> None:
    write_strip(tmp_path / "old" / "x.png", strip(256, bright=[0]))
    write_strip(tmp_path / "new" / "0.png", strip(256, bright=[90]))
    report_of(tmp_path / "old", tmp_path / "first", FakeExplainer())
    shutil.rmtree(tmp_path / "first" / "img")
    report_of(tmp_path / "new", tmp_path / "second", FakeExplainer(), earlier=(tmp_path / "first",))
    assert data_of(tmp_path / "second")["earlier"]["raw_path"] == [""]
    assert json.loads((tmp_path / "second" / "batch.json").read_text("utf-8"))["exit_status"] == 0
