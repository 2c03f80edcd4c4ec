"""The card for people: what it says, and that nothing in a card becomes Markdown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sise.bundle import ModelCard
from sise.model_card import code, escaped, markdown

CLASSES = ("normal", "class 1")
METRICS: dict[str, Any] = {
    "epoch": 3,
    "recipe": {"model": {"weights": "none", "focal": 0.0, "optimizer": {"lr": 0.1}}},
    "split": "val",
    "crops": 50,
    "class_crops": {"normal": 40, "class 1": 10},
    "top1": 0.9,
    "top1_interval": [0.8, 0.95],
    "top3": 1.0,
    "macro_recall": 0.85,
    "macro_recall_interval": [0.7, 0.9],
    "majority": 0.8,
    "recall": {"normal": 0.925, "class 1": 0.8},
    "recall_interval": {"normal": [0.8, 0.97], "class 1": [0.49, 0.94]},
    "ece": 0.04,
    "ece_before_temperature": 0.09,
    "calibration": {
        "confidence": {"ece": 0.04, "interval": [0.0, 0.06], "by_chance": 0.07},
        "classwise_ece": 0.035,
        "per_class": {"class 1": {"ece": 0.03, "interval": None, "by_chance": 0.05}},
    },
    "risk_coverage": {
        "aurc": 0.0123,
        "target_risk": 0.05,
        "alone": {
            "min_confidence": 0.97, "coverage": 0.6, "risk": 0.0, "risk_at_most": 0.049,
        },
    },
    "decision": {
        "costs": {"escape": {"class 1": 100.0}, "overkill": {"class 1": 1.0}},
        "prevalence": 0.2,
        "per_patches": 1000,
        "cost": 80.0,
        "cost_at_0.5": 2000.0,
        "cost_of_flagging_nothing": 20000.0,
        "cost_of_flagging_everything": 800.0,
        "saved_on_other_crops": {"mean": 900.0, "interval": [-10.0, 1900.0]},
    },
    "notes": ["fewer than 30 crops say little: class 1 (10)"],
}  # fmt: skip


def card(**changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "architecture": "resnet18",
        "classes": CLASSES,
        "input_size": (64, 96),
        "mean": (0.5,) * 3,
        "std": (0.2,) * 3,
        "temperature": 1.25,
        "thresholds": {"class 1": 0.125},
        "dataset": {
            "card_sha256": "ab" * 32,
            "split": "paper",
            "seed": 7,
            "counts": {"train": [200, 50], "val": [40, 10]},
        },
        "metrics": METRICS,
        "weights_sha256": "cd" * 32,
    }
    return ModelCard(**(values | changes))


def test_it_says_what_the_card_says() -> None:
    text = markdown(card())
    for said in (
        "# Model card: `resnet18`, 2 classes",
        "- Input: 96 × 64 px",
        f"- Weights: SHA-256 `{'cd' * 32}`",
        f"- Recast dataset: SHA-256 of its card `{'ab' * 32}`",
        "- Split: `paper`, seed 7",
        "| normal | 200 | 40 |\n| class 1 | 50 | 10 |",
        "- Weights of epoch 3",
        "| `model.optimizer.lr` | `0.1` |",
        "| top-1 | 0.900 | 0.800–0.950 |",
        "| macro recall | 0.850 | 0.700–0.900 |",
        "| normal | 40 | 0.925 | 0.800–0.970 | – | – | – |",
        "| class 1 | 10 | 0.800 | 0.490–0.940 | 0.030 | – | 0.125 |",
        "- Temperature: 1.25",
        "calibration error: 0.040 (95 %: 0.000–0.060;",
        "- Cost of an escape: class 1 100",
        "Thresholds cost 80 per 1000 patches, of which 0.2000 show a defect; "
        "0.5 for each class costs 2000, flagging nothing 2e+04, flagging everything 800",
        "such thresholds save 900 against 0.5 (95 %: -10 to 1900)",
        "from a confidence of 0.9700 on, which 0.600 of the crops have: 0.0000 of these are wrong, "
        "at most 0.0490 (95 %), for a target of 0.0500",
        "- The split leaks:",
        "- fewer than 30 crops say little: class 1 (10)",
        "## Not to be used",
    ):
        assert said in text
    assert "focal" not in text, "it is off"
    assert "\n\n\n" not in text


def test_of_a_bare_card_it_says_what_is_not_known() -> None:
    text = markdown(card(dataset={}, metrics={}, thresholds={}))
    for said in ("Not recorded.", "The recipe is not recorded.", "Not evaluated.", "Not measured:"):
        assert said in text
    text = markdown(card(metrics={"top1": 0.5, "recall": {"normal": 0.5}}))
    assert "| top-1 | 0.500 | – |" in text, "a card of an earlier version has no intervals"
    assert "| normal | – | 0.500 | – | – | – | – |" in text


HOSTILE = [
    "**bold** _it_ `code` ~~gone~~",
    "<script>alert(1)</script>",
    "a | b",
    "[text](http://x.y) ![i](j)",
    "http://x.y www.x.y <a@b.c>",
    "# heading",
    "- item",
    "1. item",
    "12) item",
    "&lt; $x$ \\*",
    "line\nbreak\r\n\n# heading",
    "\u202eabc\x00",
]


PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def plain(text: str) -> str:
    """The text of one paragraph in which nothing is marked up."""
    (opened, inline, _) = PARSER.parse(text)
    assert opened.type == "paragraph_open"
    kinds = {child.type for child in inline.children or []}
    assert kinds <= {"text", "text_special"}, kinds
    return "".join(child.content for child in inline.children or [])


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_is_markdown(text: str) -> None:
    shown = "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))
    assert plain(escaped(text)) == shown
    table = markdown(card(classes=("normal", shown), dataset={"counts": {text: [1, 2]}}))
    assert "<script>" not in table.replace("\\<script", "")
    rows = [line for line in table.splitlines() if line.startswith("| normal")]
    assert len(rows) == 2


@given(st.text(min_size=1, max_size=40))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    shown = "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))
    if shown:
        assert plain(escaped(text)) == shown


def test_code_is_only_what_cannot_end_it() -> None:
    assert code("timm:tf_x") == "`timm:tf_x`"
    assert code("a`b") == "a\\`b"
    assert code("a|b") == "a\\|b"
    assert len(code("x" * 10_000)) < 310


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*METRICS, *METRICS["decision"], "normal"]), inner)
        ),
        max_leaves=8,
    )
)
def test_no_card_is_too_odd(value: Any) -> None:
    odd = dict.fromkeys(METRICS, value) | (value if isinstance(value, dict) else {})
    dataset = dict.fromkeys(("counts", "split", "masking", "differs_from_recipe"), value)
    text = markdown(card(metrics=odd, dataset=dataset))
    assert text.startswith("# Model card")
    assert text.endswith("\n")
