from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from inspection.coil.facts import Coil, read_coils
from inspection.coil.marks import roll_marks, strips_with
from inspection.coil.periods import Search
from inspection.coil.positions import place_patches, place_strips
from inspection.errors import CoilError
from inspection.pipeline.policy import Proposal, RollMarkRule, default_policy, propose_for_mark


def coil(root: Path, text: str, strips: list[str]) -> tuple[Coil, ...]:
    (root / "coil.yaml").write_text(text)
    return read_coils(root, ["coil.yaml"], strips)


def strips_of(*widths: float) -> pd.DataFrame:
    names = [f"{place}.png" for place in range(len(widths))]
    return pd.DataFrame({"strip_id": names, "coil": "7", "width": widths})


def placed(root: Path, text: str, strips: pd.DataFrame, mm: float | None) -> list[list[float]]:
    told = place_strips(strips, coil(root, text, list(strips["strip_id"])), mm)
    return [told["start_m"].round(6).tolist(), told["length_m"].round(6).tolist()]


def test_lengths_are_told_or_measured_or_reach_to_the_next(tmp_path: Path) -> None:
    even = "coil: 7\nmetres_per_strip: 0.5"
    assert placed(tmp_path, even, strips_of(100, 100), None) == [[0, 0.5], [0.5, 0.5]]
    at = "coil: 7\nstrips: {0.png: 1, 1.png: 4, 2.png: 6}"
    assert placed(tmp_path, at, strips_of(9, 9, 9), None) == [[1, 4, 6], [3, 2, 2.5]]
    assert placed(tmp_path, at, strips_of(1000, 2000, 500), 1.0) == [[1, 4, 6], [1, 2, 0.5]]
    end = "coil: 7\nend_to_end: true"
    # One that could not be read is as long as the others.
    lengths = strips_of(1000, np.nan, 3000)
    assert placed(tmp_path, end, lengths, 0.5) == [[0, 0.5, 1.5], [0.5, 1.0, 1.5]]


def test_strips_that_overlap_and_sizes_that_are_missing_are_told(tmp_path: Path) -> None:
    at = "coil: 7\nstrips: {0.png: 0, 1.png: 1}"
    with pytest.raises(CoilError, match=r"0\.png is 1\.50 m long and reaches into 1\.png, 1\.00 m"):
        placed(tmp_path, at, strips_of(1500, 100), 1.0)
    with pytest.raises(CoilError, match="end_to_end needs the size of a pixel; give --mm-per-px"):
        placed(tmp_path, "coil: 7\nend_to_end: true", strips_of(9), None)


def test_without_a_coils_file_nothing_is_known() -> None:
    told = place_strips(strips_of(100), (), 0.4)
    assert told[["side", "shift"]].to_numpy().tolist() == [["", ""]]
    assert told[["start_m", "length_m"]].isna().all(axis=None)


def patches_of(strips: pd.DataFrame, centres: list[tuple[str, float, str]]) -> pd.DataFrame:
    """Flagged patches of 100 px whose marked area lies around a place of a strip 1000 px long."""
    rows = [
        {
            "strip_id": strip, "coil": "7", "width": 1000, "left": int(x) - 60, "top": 0,
            "size": 100, "map_status": "ok", "region_left": 50.0, "region_width": 20.0,
            "region_top": 0.0, "region_height": 10.0, "flagged": True, "indicated": name,
        }
        for strip, x, name in centres
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("direction", "expected"), [("forward", [2.6, 3.5]), ("backward", [2.4, 3.5])]
)
def test_an_indication_lies_where_its_marked_area_does(
    tmp_path: Path, direction: str, expected: list[float]
) -> None:
    strips = strips_of(1000, 1000, 1000, 1000)
    text = f"coil: 7\nmetres_per_strip: 1\ndirection: {direction}"
    coils = coil(tmp_path, text, list(strips["strip_id"]))
    patches = patches_of(strips, [("2.png", 600, "a"), ("3.png", 500, "a")])
    # Without a map it is the middle of the patch: 440 to 540 px.
    patches.loc[1, ["map_status", "left"]] = ["constant map", 450]
    told = place_patches(patches, place_strips(strips, coils, None), coils)
    assert told["coil_m"].round(6).tolist() == expected


def test_what_repeats_is_a_mark_of_its_patches(tmp_path: Path) -> None:
    strips = strips_of(*[1000] * 12)
    coils = coil(tmp_path, "coil: 7\nmetres_per_strip: 1\nside: top", list(strips["strip_id"]))
    strips = place_strips(strips, coils, None)
    turns = 0.3 + 1.3 * np.arange(8)
    centres = [(f"{int(turn)}.png", round(1000 * (turn % 1)), "scratch") for turn in turns]
    others = [("0.png", 700, "dent"), ("5.png", 100, "dent"), ("9.png", 900, "dent")]
    patches = place_patches(patches_of(strips, [*centres, *others]), strips, coils)
    patches, (mark,) = roll_marks(patches, strips, Search())
    assert patches["roll_mark"].tolist() == [1] * 8 + [0] * 3
    told = mark.as_json()
    assert (told["coil"], told["side"], told["class"]) == ("7", "top", "scratch")
    assert (told["turns"], told["hits"]) == (8, 8)
    assert told["period"] == pytest.approx(1.3, abs=1e-3)
    assert told["diameter"] == pytest.approx(1.3 / np.pi, abs=1e-3)
    assert strips_with(patches) == {f"{int(turn)}.png": 1 for turn in turns}


def test_the_policy_proposes_for_a_mark_what_is_more_severe() -> None:
    policy = default_policy()
    assert policy.roll_marks == RollMarkRule()
    words = "roll mark: repeats along the coil, at least 4 times"
    assert propose_for_mark(Proposal("accept", "x"), policy) == Proposal("hold", words)
    for severe in ("hold", "rework", "scrap"):
        assert propose_for_mark(Proposal(severe, "x"), policy) == Proposal(severe, "x")
