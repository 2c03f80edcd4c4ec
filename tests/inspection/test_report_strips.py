"""Strips that were accepted, and patches that were not flagged: what the page has of them."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toy_reports import report_of
from toys import FakeExplainer, strip, write_strip

from inspection.report import payload, single, tiles
from inspection.report.single import write_single_file
from inspection.store.reading import open_report
from inspection.store.verify import Request, verify

CLASSES = ["p_normal", "p_class_1", "p_class_2", "p_class_3", "p_class_4"]
DOUBT = "name: doubt\nversion: 1\nrules: [{name: any, disposition: rework}]\nlist_unsure: 1\n"


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    for number in range(3):
        bright = [300] if number == 1 else []
        write_strip(tmp_path / "batch" / f"{number}.png", strip(600, bright=bright))
    (tmp_path / "batch" / "torn.jpg").write_bytes(b"no image")
    return tmp_path / "batch"


def made(batch: Path, tmp_path: Path, policy: str = "") -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(policy)
    report_of(batch, tmp_path / "report", FakeExplainer(), policy=file if policy else None)
    return tmp_path / "report"


def told(path: Path) -> tuple[int, dict[str, Any]]:
    """What a file of probabilities says: its number, and its columns."""
    found = re.fullmatch(r"takeTiles\((\d+), JSON\.parse\((.*)\)\);\n", path.read_text("ascii"))
    assert found is not None
    return int(found[1]), json.loads(ast.literal_eval(found[2]))


def test_every_patch_is_in_one_file_of_probabilities(
    batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (payload, tiles):
        monkeypatch.setattr(module, "STRIPS_PER_FILE", 2)
    report = made(batch, tmp_path)
    files = [told(report / "data" / f"tiles-{number}.js") for number in range(2)]
    assert [number for number, _ in files] == [0, 1]
    rows = pd.concat([pd.DataFrame(columns) for _, columns in files], ignore_index=True)
    expected = pd.read_parquet(report / "results.parquet")
    assert rows["strip"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert rows[["left", "flagged", "near"]].equals(expected[["left", "flagged", "near"]].astype(
        {"left": "int64"}
    ))  # fmt: skip
    np.testing.assert_allclose(rows[CLASSES], expected[CLASSES], atol=5.1e-5)
    # Another way to cut them leaves none of the old files, and all are sealed.
    for module in (payload, tiles):
        monkeypatch.setattr(module, "STRIPS_PER_FILE", 3)
    made(batch, tmp_path, DOUBT)
    assert sorted(path.name for path in (report / "data").iterdir()) == ["report.js", "tiles-0.js"]
    assert not verify(Request(report)).having("new", "changed", "missing")
    (report / "data" / "tiles-0.js").write_text("takeTiles(0, {});\n")
    changed = verify(Request(report)).having("changed")
    assert [finding.name for finding in changed] == ["data/tiles-0.js"]


def rows_of(report: Path) -> list[list[str]]:
    """The table of patches that are not flagged, but unsure, cell by cell."""
    page = (report / "index.html").read_text("utf-8")
    table = re.search(r'<table class="plain near">.*?</table>', page, re.DOTALL)
    if table is None:
        return []
    body = re.findall(r"<tr>(<td.*?)</tr>", table[0], re.DOTALL)
    texts = [re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in body]
    return [[re.sub(r"<[^>]+>", "", cell).replace("\u202f", " ") for cell in row] for row in texts]


def test_the_patch_that_made_a_strip_unsure_is_named(batch: Path, tmp_path: Path) -> None:
    # The toy is sure of steel to 57 %: e² of e² + 1 + ... as in `toys`.
    report = made(batch, tmp_path, DOUBT + "unsure: {min_confidence: 0.9}\n")
    strips = pd.read_parquet(report / "strips.parquet").set_index("strip_id")
    assert strips.loc["0.png", ["disposition", "rule"]].tolist() == [
        "hold", "unsure: at least 1 patch with a confidence below 0.9",
    ]  # fmt: skip
    assert strips.loc["1.png", "disposition"] == "rework"
    patches = pd.read_parquet(report / "results.parquet")
    near = patches[patches["near"]].sort_values("p_normal", kind="stable")
    assert not near["flagged"].any()
    shown = rows_of(report)
    assert [row[0] for row in shown] == near["strip_id"].tolist()
    assert [row[1] for row in shown] == [f"{left}–{left + 256}" for left in near["left"]]
    assert [row[2] for row in shown] == [
        f"{1 - p:.0%}".replace("%", " %") for p in near["p_normal"]
    ]
    assert {row[0]: row[6] for row in shown} == {
        "0.png": "holds the strip",
        "1.png": "holds too; another rule came first",
        "2.png": "holds the strip",
    }


def test_without_a_rule_unsure_nothing_is_held(batch: Path, tmp_path: Path) -> None:
    report = made(batch, tmp_path, DOUBT.replace("list_unsure: 1", "list_unsure: 0.3"))
    patches = pd.read_parquet(report / "results.parquet")
    near = ~patches["flagged"] & (1 - patches["p_normal"] >= 0.3)
    assert patches["near"].equals(near)
    assert near.any()
    assert [len(row) for row in rows_of(report)] == [6] * int(near.sum())
    accepted = int(near[patches["strip_id"] != "1.png"].sum())
    page = (report / "index.html").read_text("utf-8")
    assert f"<strong>{accepted} of them lie on strips proposed for accept.</strong>" in page
    assert rows_of(made(batch, tmp_path, DOUBT)) == []
    page = (report / "index.html").read_text("utf-8")
    assert "gives 100\u202f% or more to a defect.</p>\n  <p>None.</p>" in page


def test_a_single_file_leaves_out_accepted_strips_at_full_size_where_it_must(
    batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = open_report(made(batch, tmp_path))
    accepted, flagged = (report.strips["raw_path"].iloc[number] for number in range(2))
    whole = write_single_file(report, tmp_path / "whole.html")
    page = (tmp_path / "whole.html").read_text("utf-8")
    assert f'"{accepted}": "data:' in page
    assert "takeTiles(0, JSON.parse" in page
    monkeypatch.setattr(
        single, "LIMIT", single._size(report.root, tuple(single.pictures(report))) - 1
    )
    assert write_single_file(report, tmp_path / "less.html") < whole
    page = (tmp_path / "less.html").read_text("utf-8")
    assert f'"{accepted}": "data:' not in page
    assert f'"{flagged}": "data:' in page
