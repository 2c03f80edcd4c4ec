"""What a split says: chosen on validation, judged on a test, in words and in JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
from answered import CLASSES, answers, drawn

from sise.bundle import ModelCard
from sise.statistics import Rate
from training.answers import Answers
from training.costs import resolve_costs
from training.decision import CURVE, DEFAULT_THRESHOLD, decide, price
from training.errors import TrainingError
from training.judgement import DecisionOptions, judge_test, judge_validation
from training.judgement_text import in_words

COSTS = resolve_costs({"escape": 10, "overkill": 1, "class 2.escape": 40}, CLASSES)
FEW = answers(
    [(0.9, 0.1, 0.0), (0.55, 0.45, 0.0), (0.7, 0.3, 0.0), (0.2, 0.8, 0.0), (0.8, 0.0, 0.2)],
    [0, 0, 1, 1, 2],
)
"""A class 1 of 0.3 and a class 2 of 0.2 escape at 0.5."""


def test_costs_per_thousand_patches_by_hand() -> None:
    found = decide(FEW, COSTS, {})
    assert found is not None
    # Two of five crops are normal. At 0.5, class 1 escapes once and class 2 once: 10 + 40 of 5.
    assert found.default == pytest.approx(1000 * 50 / 5)
    # From 0.3 on class 1 flags a normal crop of 0.45, too; class 2 alone flags from 0.2 on.
    assert found.thresholds == pytest.approx({"class 1": 0.2, "class 2": 0.1})
    assert found.cost == pytest.approx(1000 * 1 / 5)
    assert found.nothing == pytest.approx(1000 * 60 / 5)
    assert found.everything == pytest.approx(1000 * 2 / 5)
    assert found.wrong.escapes == {"class 1": Rate(0, 2), "class 2": Rate(0, 1)}
    assert found.wrong.overkill == Rate(1, 2)
    assert found.wrong_default.escapes == {"class 1": Rate(1, 2), "class 2": Rate(1, 1)}
    assert found.saved is None, "five groups are too few"


def test_the_lines_share_of_defects_weighs_escapes_and_overkill() -> None:
    rare = replace(COSTS, prevalence=0.01)
    found = decide(FEW, rare, {})
    assert found is not None
    # 10 patches in 1,000 show a defect, of which the crops are a third each; 990 do not.
    assert found.default == pytest.approx(10 * 50 / 3)
    # Now a half of 990 overkills is dearer than the escape of class 1 at 0.3.
    assert found.thresholds["class 1"] == pytest.approx((0.45 + 0.8) / 2)
    assert found.cost == pytest.approx(10 * 10 / 3)


def test_the_curve_is_the_cost_with_one_threshold_moved() -> None:
    some = drawn(200)
    found = price(some, COSTS, {"class 1": 0.3, "class 2": 0.2}, 0.7)
    assert found is not None
    for index in (3, 28, 50):
        moved = {**found.thresholds, "class 1": float(CURVE[index])}
        other = price(some, COSTS, moved, 0.7)
        assert other is not None
        assert found.curves["class 1"][index] == pytest.approx(other.cost)


def test_what_is_given_stays_and_what_has_no_crop_is_not_chosen() -> None:
    found = decide(FEW, COSTS, {"class 1": 0.9})
    assert found is not None
    assert found.thresholds["class 1"] == 0.9
    without = Answers(FEW.probabilities[:4], FEW.labels[:4], FEW.groups[:4], CLASSES)
    found = decide(without, COSTS, {})
    assert found is not None
    assert found.thresholds["class 2"] == DEFAULT_THRESHOLD
    judged = judge_validation(without, DecisionOptions(costs=COSTS))
    assert "class 2: its threshold was not chosen by costs, as it has no crop" in judged.notes


@pytest.mark.parametrize("label", [0, 1])
def test_without_one_side_nothing_is_chosen(label: int) -> None:
    one_sided = answers([(0.5, 0.3, 0.2)] * 3, [label] * 3)
    assert decide(one_sided, COSTS, {}) is None
    judged = judge_validation(one_sided, DecisionOptions(costs=COSTS))
    assert judged.decision is None
    assert any("no threshold was chosen by costs" in note for note in judged.notes)


def test_what_is_saved_elsewhere_is_less_than_what_is_saved_here() -> None:
    """Thresholds fit the crops that they were chosen on: of 40 they flatter, and it is told."""
    some = drawn(40, seed=1)
    found = decide(some, COSTS, {})
    assert found is not None
    assert found.saved is not None
    assert found.saved.mean < found.default - found.cost
    assert found.saved.interval[0] < found.saved.mean < found.saved.interval[1]
    many = decide(drawn(800, seed=1), COSTS, {})
    assert many is not None
    assert many.saved is not None
    assert many.saved.interval[0] > 0
    assert many.saved.mean == pytest.approx(many.default - many.cost, rel=0.2)


def test_prices_on_a_test_split() -> None:
    thresholds = {"class 1": 0.2, "class 2": 0.2}
    some = drawn(400, seed=2)
    found = price(some, COSTS, thresholds, 0.6)
    assert found is not None
    flags = (some.probabilities[:, 1:] >= 0.2).any(axis=1)
    paid = np.where(some.labels == 0, flags * 1.0, ~flags * np.array([0, 10, 40])[some.labels])
    assert found.cost == pytest.approx(1000 * paid.mean())
    assert found.saved is not None
    low, high = found.saved.interval
    assert low < found.default - found.cost < high
    assert found.saved.mean == pytest.approx(found.default - found.cost, rel=0.05)


def card_of(judged: dict[str, object], thresholds: dict[str, float]) -> ModelCard:
    plain = json.loads(json.dumps(judged, allow_nan=False))
    return ModelCard("resnet18", CLASSES, (64, 64), (0.5,) * 3, (0.2,) * 3,
                     thresholds=thresholds, metrics=plain)  # fmt: skip


def test_a_test_judges_what_the_card_chose() -> None:
    chosen = judge_validation(drawn(400, edge=6), DecisionOptions(costs=COSTS, risk=0.2))
    assert chosen.alone is not None
    assert chosen.decision is not None
    other = drawn(200, seed=9, edge=6)
    judged = judge_test(other, card_of(chosen.as_dict(), dict(chosen.decision.thresholds)))
    assert judged.alone is not None
    assert judged.alone.min_confidence == chosen.alone.min_confidence
    accepted = other.confidence >= chosen.alone.min_confidence
    assert judged.alone.wrong == Rate(int(other.wrong[accepted].sum()), int(accepted.sum()))
    assert judged.risk == 0.2
    assert judged.decision == price(
        other, COSTS, chosen.decision.thresholds, chosen.decision.any_defect
    )


def test_cards_without_choices_are_judged_without() -> None:
    judged = judge_test(drawn(50), card_of({"top1": 0.5}, {}))
    assert (judged.risk, judged.alone, judged.decision) == (None, None, None)
    assert judged.as_dict()["risk_coverage"]["crops"] == 50


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"decision": {"costs": {"escape": {}, "overkill": {}}}}, "decision, costs: class 1 is"),
        ({"decision": {"costs": {"escape": {"class 1": 0}, "overkill": {}}}}, "greater than 0"),
        ({"decision": 3}, "decision: Input should be an object"),
        ({"risk_coverage": {"target_risk": "x"}}, "risk_coverage, target_risk: "),
    ],
)
def test_a_card_at_fault_is_named(metrics: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match="the bundle's card: metrics, ") as refused:
        judge_test(FEW, card_of(metrics, {}))
    assert message in str(refused.value)


def test_in_words() -> None:
    text = "\n".join(in_words(judge_validation(FEW, DecisionOptions(costs=COSTS))))
    assert "thresholds    class 1 0.2, class 2 0.1" in text
    assert "wrong         escapes: class 1 0 of 2, class 2 0 of 1; overkill: 1 of 2" in text
    assert "cost          200 per 1000 patches, 60.00% of them with a defect; 1e+04 at 0.5" in text
    assert "say little of how well a class is recognised and calibrated" in text
    assert "normal (2), class 1 (2), class 2 (1)" in text
    assert "the crops do not show that these thresholds cost less than 0.5" in text
    sure = judge_validation(drawn(600, edge=6), DecisionOptions(risk=0.2))
    assert sure.notes == ()
    assert "of the crops, " in "\n".join(in_words(sure))
