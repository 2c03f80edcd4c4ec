import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import FakeExplainer, strip, toy_classifier

from inspection.errors import PolicyError
from inspection.pipeline.policy import WeakRule, parse_policy
from inspection.quality.gradcam_agreement import agreements, make_gradcam
from inspection.quality.weak import judge, rank
from sise.methods.gradcam import GradCAM
from sise.statistics import pearson


def row(
    drop: float = 0.0,
    removed: float = 0.0,
    agreement: float = 1.0,
    status: str = "ok",
    explained: bool = True,
) -> dict[str, Any]:
    return {
        "explained": explained,
        "map_status": status,
        "whole_score": 0.8,
        "removed_score": 0.8 * removed,
        "drop": drop,
        "agreement": agreement,
    }


def judged(*rows: dict[str, Any], rule: WeakRule | None = None) -> pd.DataFrame:
    return judge(pd.DataFrame(list(rows)), rule or WeakRule())


def test_one_failed_test_is_pardoned_and_two_are_not() -> None:
    found = judged(
        row(),
        row(drop=0.25),
        row(drop=0.25, removed=0.96),
        row(drop=0.25, agreement=0.25),
        row(removed=0.96, agreement=-0.3),
        row(drop=0.2, removed=0.95, agreement=0.3),
    )
    assert list(found["weak"]) == [False, False, True, True, True, False]
    assert list(found["weak_because"]) == [
        "",
        "marked area only: the class is lost",
        "marked area only: the class is lost; marked area hidden: the class stays",
        "marked area only: the class is lost; Grad-CAM points elsewhere",
        "marked area hidden: the class stays; Grad-CAM points elsewhere",
        "",
    ]
    assert found["removed_share"].tolist() == pytest.approx([0, 0, 0.96, 0, 0.96, 0.95])


def test_no_map_is_weak_and_no_explanation_is_nothing() -> None:
    nan = math.nan
    found = judged(
        row(nan, nan, nan, status="constant map"),
        row(nan, nan, nan, status="", explained=False),
        row(drop=0.9, removed=0.1, agreement=nan),
    )
    assert list(found["weak"]) == [True, False, False]
    assert list(found["weak_because"])[:2] == ["no map", ""]


def test_the_rule_decides() -> None:
    strict = WeakRule(max_drop=0.1, max_removed=0.1, min_agreement=0.9, failures=1)
    assert list(judged(row(drop=0.2), row(agreement=0.8), row(), rule=strict)["weak"]) == [
        True, True, False
    ]  # fmt: skip


def test_no_rows_are_no_rows() -> None:
    found = rank(judge(pd.DataFrame([row()]).iloc[:0], WeakRule()))
    assert len(found) == 0
    assert "agreement_percentile" in found


def test_percentiles_say_what_share_of_the_batch_is_worse() -> None:
    found = rank(
        judged(
            row(drop=0.1, removed=0.4, agreement=0.9),
            row(drop=0.2, removed=0.2, agreement=0.5),
            row(drop=0.2, removed=0.3, agreement=math.nan),
            row(drop=0.9, removed=0.1, agreement=0.7),
        )
    )
    assert list(found["drop_percentile"]) == [87.5, 50, 50, 12.5]
    assert list(found["removed_percentile"]) == [12.5, 62.5, 37.5, 87.5]
    assert found["agreement_percentile"].tolist() == pytest.approx(
        [250 / 3, 50 / 3, math.nan, 50], nan_ok=True
    )
    assert rank(judged(row()))["drop_percentile"].tolist() == [50]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_percentiles_of_a_batch_average_to_the_middle(drops: list[float]) -> None:
    found = rank(judged(*(row(drop=drop) for drop in drops)))["drop_percentile"]
    assert found.mean() == pytest.approx(50)
    assert found.between(0, 100, inclusive="neither").all()


def weak_rule(entry: str) -> WeakRule:
    content = f"name: mill\nversion: 1\nweak_explanation: {entry}\n"
    return parse_policy(content.encode(), "p").weak


def test_the_policys_entry_is_read_and_checked() -> None:
    assert weak_rule("") == WeakRule()
    assert weak_rule("{failures: 1, min_agreement: -0.5}") == WeakRule(
        failures=1, min_agreement=-0.5
    )
    for content, message in (
        ("[]", "should be an object"),
        ("{drop: 1}", ", drop: no entry of this name is known"),
        ("{max_drop: 1.5}", ", max_drop: .* less than or equal to 1, not 1.5"),
        ("{min_agreement: x}", ", min_agreement: .* number, not 'x'"),
        ("{failures: 2.5}", ", failures: .* integer, not 2.5"),
        ("{failures: true}", ", failures: .* integer, not true"),
        ("{failures: 0}", ", failures: .* greater than or equal to 1, not 0"),
        ("{failures: 4}", ", failures: .* less than or equal to 3, not 4"),
    ):
        with pytest.raises(PolicyError, match=rf"^p: weak_explanation.*{message}"):
            weak_rule(content)


def test_agreement_is_the_correlation_of_the_two_maps() -> None:
    bright = np.zeros((256, 256), np.float32)
    bright[96:160, 64:128] = 1
    half = bright.copy()
    half[:, :96] = 0
    image = torch.from_numpy(strip(256, bright=[64])).permute(2, 0, 1) / 255
    second = FakeExplainer(statuses={2: "no positive gradient"})
    targets = torch.tensor([1, 1, 1, 2, 1])
    maps = [bright, 1 - bright, half, bright, np.zeros_like(bright)]
    agreed = agreements(second, image.expand(5, -1, -1, -1), targets, maps)
    expected = np.corrcoef(bright.ravel(), half.ravel())[0, 1]
    assert agreed == pytest.approx([1, -1, expected, math.nan, math.nan], nan_ok=True)
    assert second.targets == [1, 1, 1, 2, 1]


def test_a_constant_map_correlates_with_nothing() -> None:
    assert math.isnan(pearson(np.ones((4, 4)), np.random.default_rng(0).random((4, 4))))


def test_the_second_method_is_grad_cam() -> None:
    assert isinstance(make_gradcam(toy_classifier()), GradCAM)


def test_a_map_whose_scores_are_not_finite_is_weak() -> None:
    found = judged(row(drop=math.nan, removed=math.nan))
    assert found["weak"].tolist() == [True]
    assert found["weak_because"].tolist() == ["its scores are not finite"]
