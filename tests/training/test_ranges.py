"""What a recipe may mark as worth trying."""

from typing import Any

import optuna
import pytest

from training.errors import RecipeError
from training.ranges import Range, read_ranges


def test_ranges_as_a_recipe_has_them() -> None:
    found = read_ranges(
        {
            "lr": {"low": "1e-5", "high": 1e-2, "log": True},
            "data.batch_size": {"low": 16, "high": 64, "step": 16},
            "data.sampler": {"choices": ["none", "balanced"]},
        }
    )
    assert found["lr"] == Range(1e-5, 1e-2, log=True)
    assert (found["data.sampler"].first, found["data.sampler"].last) == ("none", "balanced")
    trial = optuna.trial.FixedTrial({"lr": 3e-4, "data.batch_size": 48, "data.sampler": "none"})
    drawn = {name: one.suggest(trial, name) for name, one in found.items()}  # type: ignore[arg-type]
    assert drawn == {"lr": 3e-4, "data.batch_size": 48, "data.sampler": "none"}
    assert isinstance(drawn["data.batch_size"], int)
    assert trial.distributions["lr"].log
    assert trial.distributions["data.batch_size"].step == 16


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({}, "the recipe marks nothing to try"),
        ({"out": {"choices": ["a"]}}, "out is the same for all trials"),
        ({"a": 3}, r"tune: a: give \{low"),
        ({"a": {"low": 1, "high": 2, "lag": True}}, r"tune: a: give \{low"),
        ({"a": {"low": 2, "high": 1}}, "a: low must be a number below high"),
        ({"a": {"low": 0, "high": 1, "log": True}}, "a: log needs low above 0, and no step"),
        ({"a": {"low": "x", "high": 1}}, "a: low must be a number, not 'x'"),
        ({"a": {"low": 0, "high": 1, "step": 0}}, "a: step must be above 0"),
        ({"a": {"choices": []}}, "a: choices is a list of values"),
    ],
)
def test_no_ranges(block: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_ranges(block)
