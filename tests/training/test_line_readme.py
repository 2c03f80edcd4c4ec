"""The README of a line model, of a card written by hand."""

import copy
from typing import Any

from training.line_readme import readme

CARD: dict[str, Any] = {
    "kind": "onnx",
    "file": "model.onnx",
    "source": {"bundle_sha256": "ab" * 32, "architecture": "resnet18", "temperature": 1.25},
    "input": {"shape": ["batch", 112, 128, 3]},
    "classes": ["normal", "a|b", "<b>`x`", "\\_[link](http://x.example)"],
    "thresholds": {"a|b": 0.4},
    "check": {"on": "validation crops", "images": 97, "tolerance": 1e-4,
              "largest_difference": 6e-7, "other_decisions": 0},
}  # fmt: skip


def test_it_says_what_goes_in_and_what_was_checked() -> None:
    text = readme(CARD)
    assert "| in | `images` | uint8 | batch, 112, 128, 3 |" in text
    assert "| out | `probabilities` | float32 | batch, 4 |" in text
    assert "temperature 1.25" in text
    assert "on 97 validation crops: probabilities differ by 6e-07 at most (0.0001 is" in text
    assert "no other decision." in text
    assert "in int8" not in text
    assert max(map(len, text.split("## Classes")[0].splitlines())) <= 100


def test_names_are_escaped() -> None:
    rows = readme(CARD).split("## Classes")[1].splitlines()[4:8]
    assert rows[0] == "| 0 | normal | – |"
    assert rows[1] == "| 1 | a\\|b | 0.4 |"
    assert "<b>" not in rows[2].replace("\\<", "")
    assert "`x`" not in rows[2]
    assert "[link](" not in rows[3]


def test_int8_tells_its_cost() -> None:
    card = copy.deepcopy(CARD)
    card["int8"] = {
        "file": "model-int8.onnx", "calibrated_on": 300, "images": 97, "largest_difference": 0.34,
        "other_decisions": 2, "before": {"top1": 0.9278, "macro_recall": 0.9218},
        "after": {"top1": 0.9072, "macro_recall": 0.9},
    }  # fmt: skip
    text = readme(card)
    assert "calibrated on 300 training crops" in text
    assert "top-1 0.928 before, 0.907 after; macro recall 0.922 and 0.900" in text
    assert "differ by 0.34 at most; 2 other decisions." in text
