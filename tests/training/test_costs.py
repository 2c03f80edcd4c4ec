"""What `--costs` takes, and what it refuses in one line."""

import json
from pathlib import Path

import pytest
import yaml

from severstal_prep.dataset import CLASS_NAMES
from training.cli import main
from training.costs import Costs, cost_table, resolve_costs
from training.errors import RecipeError

SHORT = "escape=100,overkill=1,prevalence=0.02,class 3.escape=500"
TABLE = {"escape": 100.0, "overkill": 1.0, "prevalence": 0.02, "class 3.escape": 500.0}


@pytest.mark.parametrize(
    "given",
    [
        SHORT,
        json.dumps(TABLE),
        "{escape: 100, overkill: 1, prevalence: 0.02, class 3: {escape: 500}}",
        yaml.safe_load("{escape: 100, overkill: 1, prevalence: 0.02, class 3: {escape: 500}}"),
        TABLE,
    ],
)
def test_ways_to_write_the_same_costs(given) -> None:
    assert cost_table(given) == TABLE


def test_a_class_may_have_its_own_costs() -> None:
    assert resolve_costs(TABLE, CLASS_NAMES) == Costs(
        escape={"class 1": 100, "class 2": 100, "class 3": 500, "class 4": 100},
        overkill={"class 1": 1, "class 2": 1, "class 3": 1, "class 4": 1},
        prevalence=0.02,
    )
    odd = cost_table('{"escape": 2, "overkill": 1, "a.b, c=d.overkill": 7}')
    assert resolve_costs(odd, ["normal", "a.b, c=d"]).overkill == {"a.b, c=d": 7}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "costs: '' names no costs; give them as escape=100,overkill=1"),
        ("100", "names no costs"),
        ("escape=1,escape=2", "names no costs"),
        ("{", "costs: not readable as YAML"),
        ("{}", "names no costs"),
        ("escape=x,overkill=1", "costs: escape must be a number above 0, not x"),
        ("escape=0,overkill=1", "costs: escape must be a number above 0, not 0"),
        ("escape=-1,overkill=1", "costs: escape must be a number above 0, not -1"),
        ("escape=nan,overkill=1", "costs: escape must be a number above 0, not nan"),
        ('{"escape": true}', "costs: escape must be a number above 0, not True"),
        ('{"escape": [1]}', "costs: escape must be a number above 0"),
        ('{"a.escape": 1, "a": {"escape": 2}}', "costs: a.escape stands twice"),
        ("overkill=1", "costs: escape is missing"),
        ("escape=1,overkill=1,class 9.escape=3", "costs: 'class 9.escape' is none; there are"),
        ("escape=1,overkill=1,normal.escape=3", "costs: 'normal.escape' is none"),
        ("escape=1,overkill=1,prevalence=1", "costs: prevalence is a share, above 0 and below 1"),
    ],
)
def test_wrong_costs_are_one_line(given: str, message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        resolve_costs(cost_table(given), CLASS_NAMES)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "given", ["esc\nape=x", "escape=1\n2", '{"a\\nb": x}', '{"a\\nb": {c: 1}, "a\\nb.c": 1}']
)
def test_a_name_or_value_of_two_lines_is_told_in_one(given: str) -> None:
    with pytest.raises(RecipeError) as error:
        cost_table(given)
    assert "\n" not in str(error.value)


def test_without_a_normal_class_nothing_is_overkill() -> None:
    with pytest.raises(RecipeError, match="there is no class 'normal'"):
        resolve_costs(TABLE, ["a", "b"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--costs", "escape=1"], "costs: overkill is missing"),
        (["--costs", "escape=1,overkill=0"], "costs: overkill must be a number above 0"),
        (["--risk", "1"], "risk: a share of wrong decisions, above 0 and below 1, not 1"),
    ],
)
def test_fit_refuses_them_before_it_trains(
    options, message, recast_root: Path, tmp_path: Path, capsys
) -> None:
    run = tmp_path / "run"
    fit = ["fit", "--config", "demo", "--data.root", str(recast_root), "--out", str(run)]
    assert main([*fit, *options]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not run.exists()
