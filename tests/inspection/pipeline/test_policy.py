from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.errors import PolicyError
from inspection.pipeline.policy import (
    PolicyFile,
    Proposal,
    UnsureRule,
    contrast_on_white,
    default_policy,
    flag,
    parse_policy,
    probability_column,
    propose,
    read_policy,
    resolve_by_card,
    resolve_thresholds,
)

CLASSES = ("normal", "class 1", "class 2")


def probabilities(*rows: tuple[float, ...]) -> pd.DataFrame:
    columns = ["p_normal", "p_class_1", "p_class_2"]
    return pd.DataFrame(rows, columns=columns).assign(black_fraction=0.1)


def by_class(**entries: float) -> PolicyFile:
    """Only the classes' own thresholds flag."""
    return PolicyFile(name="by class", version="1", any_defect_threshold=1.0, **entries)


def policy_text(**entries: str) -> bytes:
    base = {"name": "mill", "version": "'3'"} | entries
    return "".join(f"{name}: {value}\n" for name, value in base.items()).encode()


def test_probability_columns_are_plain_names() -> None:
    assert [probability_column(name) for name in ("normal", "class 3")] == ["p_normal", "p_class_3"]


def test_a_patch_is_flagged_from_its_threshold_on() -> None:
    rows = probabilities((0.5, 0.5, 0.0), (0.51, 0.49, 0.0), (0.2, 0.1, 0.7))
    flagged = flag(rows, CLASSES, {"class 1": 0.5, "class 2": 0.5}, by_class())
    assert flagged["flagged"].tolist() == [True, False, True]
    assert flagged["indicated"].tolist() == ["class 1", "", "class 2"]
    assert flagged["score"].tolist() == [0.5, 0.51, 0.7]
    assert flagged["predicted"].tolist() == ["normal", "normal", "class 2"]


def test_the_indicated_class_is_the_most_probable_of_those_that_reach_their_threshold() -> None:
    rows = probabilities((0.1, 0.3, 0.6), (0.0, 0.45, 0.55))
    flagged = flag(rows, CLASSES, {"class 1": 0.2, "class 2": 0.9}, by_class())
    assert flagged["indicated"].tolist() == ["class 1", "class 1"]
    assert flagged["score"].tolist() == [0.3, 0.45]
    assert flagged["predicted"].tolist() == ["class 2", "class 2"]


def test_a_threshold_of_zero_is_a_threshold() -> None:
    limits = {"class 1": 0.0, "class 2": 1.0}
    flagged = flag(probabilities((1.0, 0.0, 0.0)), CLASSES, limits, by_class())
    assert flagged["indicated"].tolist() == ["class 1"]


def test_a_patch_without_steel_is_not_judged() -> None:
    rows = probabilities(*[(0.0, 1.0, 0.0)] * 3).assign(black_fraction=[0.94, 0.95, 0.96])
    flagged = flag(rows, CLASSES, {"class 1": 0.5, "class 2": 0.5}, by_class())
    assert flagged["steel"].tolist() == [True, True, False]
    assert flagged["flagged"].tolist() == [True, True, False]
    assert flagged["indicated"].tolist() == ["class 1", "class 1", ""]
    assert flagged["predicted"].tolist() == ["class 1"] * 3


def test_no_rows_stay_no_rows() -> None:
    flagged = flag(probabilities(), CLASSES, {"class 1": 0.5, "class 2": 0.5}, by_class())
    assert len(flagged) == 0
    assert {"flagged", "indicated", "predicted", "score"} <= set(flagged.columns)


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_flagged_means_that_a_defect_class_or_all_together_reach_their_threshold(
    row: list[float], first: float, second: float, together: float
) -> None:
    policy = PolicyFile(name="mill", version="1", any_defect_threshold=together)
    limits = {"class 1": first, "class 2": second}
    flagged = flag(probabilities(tuple(row)), CLASSES, limits, policy)
    reaching = {"class 1": row[1]} if row[1] >= first else {}
    reaching |= {"class 2": row[2]} if row[2] >= second else {}
    assert flagged["flagged"].item() == (bool(reaching) or 1 - row[0] >= together)
    assert flagged["class_unsure"].item() == (flagged["flagged"].item() and not reaching)
    if flagged["flagged"].item():
        among = reaching or {"class 1": row[1], "class 2": row[2]}
        assert flagged["score"].item() == max(among.values())
        assert among[flagged["indicated"].item()] == max(among.values())


# As one of a real strip: a true defect, and accepted when only single classes flagged.
DOUBTFUL = (0.198, 0.42, 0.382)
HALVES = {"class 1": 0.5, "class 2": 0.5}


def test_a_patch_is_flagged_when_the_defect_classes_together_reach_a_threshold() -> None:
    rows = probabilities(DOUBTFUL, (0.5, 0.25, 0.25), (0.51, 0.25, 0.24), (0.3, 0.1, 0.6))
    flagged = flag(rows, CLASSES, HALVES, default_policy())
    assert flagged["flagged"].tolist() == [True, True, False, True]
    assert flagged["class_unsure"].tolist() == [True, True, False, False]
    assert flagged["indicated"].tolist() == ["class 1", "class 1", "", "class 2"]
    assert flagged["score"].tolist() == [0.42, 0.25, 0.51, 0.6]
    proposal = propose(flagged.iloc[:1], default_policy())
    assert proposal == Proposal("hold", "rule 3, any indication: at least 1 patch flagged")


def test_a_class_that_reaches_its_own_threshold_is_sure_of_it() -> None:
    flagged = flag(probabilities((0.1, 0.3, 0.6)), CLASSES, HALVES | {"class 1": 0.3}, by_class())
    assert flagged[["indicated", "class_unsure"]].to_numpy().tolist() == [["class 2", False]]
    none = flag(probabilities((0.1, 0.3, 0.6)), CLASSES, HALVES | {"class 2": 0.7}, by_class())
    assert none[["flagged", "indicated", "class_unsure"]].to_numpy().tolist() == [
        [False, "", False]
    ]


def test_black_patches_are_neither_flagged_nor_listed() -> None:
    rows = probabilities(DOUBTFUL, (0.7, 0.2, 0.1)).assign(black_fraction=0.96)
    policy = parse_policy(policy_text(unsure="{min_confidence: 0.9}"), "mill.yaml")
    flagged = flag(rows, CLASSES, HALVES, policy)
    assert not flagged[["flagged", "class_unsure", "near", "unsure"]].any(axis=None)


def test_what_is_listed_as_not_flagged_but_unsure() -> None:
    # 1 - P(normal): 0.8, 0.25, 0.125, 0.0625, in binary fractions
    rows = probabilities(
        (0.2, 0.4, 0.4), (0.75, 0.25, 0.0), (0.875, 0.125, 0.0), (0.9375, 0.0625, 0)
    )
    listed = flag(rows, CLASSES, HALVES, default_policy())
    assert listed["near"].tolist() == [False, True, False, False]
    assert listed["unsure"].tolist() == [False] * 4
    low = parse_policy(policy_text(list_unsure="0.125"), "mill.yaml")
    assert flag(rows, CLASSES, HALVES, low)["near"].tolist() == [False, True, True, False]
    confident = parse_policy(policy_text(unsure="{min_confidence: 0.9}"), "mill.yaml")
    listed = flag(rows, CLASSES, HALVES, confident)
    assert listed["near"].tolist() == [False, True, True, False]
    assert listed["unsure"].tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("given", "metrics", "found"),
    [
        ({}, {}, 0.5),
        ({}, {"decision": None}, 0.5),
        ({}, {"decision": {"any_defect_threshold": 0.07}}, 0.07),
        ({"any_defect_threshold": "0.3"}, {"decision": {"any_defect_threshold": 0.07}}, 0.3),
        ({"any_defect_threshold": "0"}, {"decision": {"any_defect_threshold": 0.07}}, 0.0),
    ],
)
def test_the_threshold_of_all_defects_is_the_policys_then_the_bundles_then_a_half(
    given: dict[str, str], metrics: dict[str, object], found: float
) -> None:
    policy = resolve_by_card(parse_policy(policy_text(**given), "mill.yaml"), metrics)
    assert policy.any_defect_threshold == found


def test_thresholds_come_from_policy_then_bundle_then_default() -> None:
    policy = parse_policy(
        policy_text(thresholds="{class 1: 0.9}", default_threshold="0.4"), "mill.yaml"
    )
    classes = (*CLASSES, "class 3")
    found = resolve_thresholds(policy, classes, {"class 1": 0.1, "class 2": 0.2})
    assert found == {"class 1": 0.9, "class 2": 0.2, "class 3": 0.4}


def flagged_rows(*scores: tuple[str, float]) -> pd.DataFrame:
    """Flagged patches, the rest of whose probability is normal's, and one that is not."""
    shares = [(score, name == "class 1", name == "class 2") for name, score in scores]
    rows = probabilities(
        *[(1 - p, p * one, p * two) for p, one, two in shares], (0.99, 0.005, 0.005)
    )
    names = [name for name, _ in scores]
    return rows.assign(flagged=[True] * len(names) + [False], indicated=[*names, ""])


@pytest.mark.parametrize(
    ("rows", "disposition", "rule"),
    [
        (flagged_rows(), "accept", "no rule applies"),
        (flagged_rows(("class 1", 0.5)), "hold", "rule 3"),
        (flagged_rows(("class 1", 0.99)), "hold", "rule 3"),
        (flagged_rows(("class 1", 0.9), ("class 2", 0.9)), "rework", "rule 2"),
        (flagged_rows(("class 1", 0.9), ("class 2", 0.89)), "hold", "rule 3"),
        (flagged_rows(*[("class 1", 0.95)] * 5), "scrap", "rule 1"),
        (flagged_rows(*[("class 1", 0.95)] * 4), "rework", "rule 2"),
    ],
)
def test_the_packaged_policy(rows: pd.DataFrame, disposition: str, rule: str) -> None:
    proposal = propose(rows, default_policy())
    assert proposal.disposition == disposition
    assert proposal.rule.startswith(rule)


def test_rules_can_ask_for_classes_and_the_first_that_holds_decides() -> None:
    rules = (
        "[{name: two, disposition: scrap, classes: [class 2], min_probability: 0.6}, "
        "{name: any, disposition: rework}]"
    )
    policy = parse_policy(policy_text(rules=rules, otherwise="hold"), "mill.yaml")
    assert propose(flagged_rows(("class 2", 0.6)), policy).disposition == "scrap"
    assert propose(flagged_rows(("class 2", 0.5)), policy).disposition == "rework"
    assert propose(flagged_rows(("class 1", 0.9)), policy).disposition == "rework"
    assert propose(flagged_rows(), policy).disposition == "hold"
    assert propose(flagged_rows(("class 2", 0.6)), policy).rule == (
        "rule 1, two: at least 1 patch flagged of class 2 at 0.60 or more"
    )


def test_a_rules_probability_is_that_of_its_classes_together() -> None:
    patch = flag(probabilities((0.05, 0.5, 0.45)), CLASSES, HALVES, default_policy())
    rule = "[{name: sure, disposition: scrap, min_probability: 0.9%s}]"
    for classes, disposition in (
        ("", "scrap"),  # 1 - P(normal) is 0.95
        (", classes: [class 1, class 2]", "scrap"),
        (", classes: [class 1, class 1]", "accept"),  # 0.5
        (", classes: [class 2]", "accept"),  # it indicates class 1
    ):
        policy = parse_policy(policy_text(rules=rule % classes), "mill.yaml")
        assert propose(patch, policy).disposition == disposition, classes


UNSURE = policy_text(unsure="{min_confidence: 0.9}", rules="[{name: any, disposition: rework}]")


@pytest.mark.parametrize(
    ("rows", "black", "expected"),
    [
        ([(0.9, 0.1, 0.0), (0.95, 0.05, 0.0)], 0.1, ("accept", "no rule applies")),
        (
            [(0.95, 0.05, 0.0), (0.89, 0.11, 0.0)],
            0.1,
            ("hold", "unsure: at least 1 patch with a confidence below 0.9"),
        ),
        ([(0.6, 0.3, 0.1)], 0.96, ("accept", "no rule applies")),
        ([(0.3, 0.6, 0.1)], 0.1, ("rework", "rule 1, any: at least 1 patch flagged")),
    ],
    ids=["sure", "unsure", "no steel", "a rule proposes more"],
)
def test_a_strip_with_an_unsure_patch_is_not_accepted(rows, black, expected) -> None:
    patches = probabilities(*rows).assign(black_fraction=black)
    policy = parse_policy(UNSURE, "mill.yaml")
    flagged = flag(patches, CLASSES, HALVES, policy)
    assert flagged["confidence"].tolist() == [max(row) for row in rows]
    assert propose(flagged, policy) == Proposal(*expected)


def test_unsure_is_off_in_the_packaged_policy_and_may_be_left_empty() -> None:
    assert default_policy().unsure is None
    assert parse_policy(policy_text(unsure=""), "mill.yaml").unsure is None


def test_the_bundle_may_say_when_the_machine_is_sure() -> None:
    policy = parse_policy(policy_text(unsure="{min_confidence: bundle}"), "mill.yaml")
    card = {"risk_coverage": {"alone": {"min_confidence": 0.75}}}
    assert resolve_by_card(policy, card).unsure == UnsureRule(0.75)
    fixed = parse_policy(UNSURE, "mill.yaml")
    assert resolve_by_card(fixed, card).unsure == fixed.unsure
    assert resolve_by_card(default_policy(), {}).unsure is None
    for without in ({}, {"risk_coverage": {"alone": None}}, {"risk_coverage": {"alone": {}}}):
        with pytest.raises(PolicyError, match=r"mill\.yaml: unsure, min_confidence: the model's"):
            resolve_by_card(policy, without)


BOMB = b"a0: &a0 [1, 1]\n" + b"".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n".encode() for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "not readable as YAML"),
        (b"\xff\xfe", "not readable as YAML"),
        (policy_text(default_threshold="1e400"), "default_threshold"),
        (policy_text(rules="[" * 1000), "nested deeper than 50 levels"),
        (policy_text(default_threshold="0.5\ndefault_threshold: 0.9"), "stands twice"),
        (BOMB, "more than 100000 values"),
        (b"- 1", "Input should be an object"),
        (b"version: 1", "name: Field required"),
        (b"name: x", "version: Field required"),
        (policy_text(threshold="{}"), "threshold: no entry of this name is known"),
        (
            policy_text(thresholds="{class 1: 2}"),
            "thresholds, class 1: .* equal to 1, not 2",
        ),
        (policy_text(thresholds="{class 1: true}"), "thresholds, class 1: .* number, not true"),
        (policy_text(default_threshold=".nan"), "default_threshold: not a finite number"),
        (policy_text(any_defect_threshold="1.5"), "any_defect_threshold: .* equal to 1, not 1.5"),
        (policy_text(list_unsure="null"), "list_unsure: .* number, not null"),
        (policy_text(default_threshold="null"), "default_threshold: .* number, not null"),
        (
            policy_text(not_inspected="accept"),
            "not_inspected: .* 'hold', 'rework' or 'scrap', not",
        ),
        (policy_text(otherwise="maybe"), "otherwise: .* 'hold', .* not 'maybe'"),
        (policy_text(rules="{}"), "rules: .* valid array"),
        (policy_text(rules="[{name: a, disposition: bin}]"), "rules 1, disposition: .* not 'bin'"),
        (
            policy_text(rules="[{name: a, disposition: hold}, {disposition: hold}]"),
            "rules 2, name: Field required",
        ),
        (
            policy_text(rules="[{name: a, disposition: hold, min_patches: 0}]"),
            "rules 1, min_patches: .* greater than or equal to 1, not 0",
        ),
        (policy_text(unsure="{}"), "unsure, min_confidence: Field required"),
        (policy_text(unsure="0.9"), "unsure: Input should be an object"),
        (
            policy_text(unsure="{min_confidence: 90}"),
            "unsure, min_confidence: must be a probability, 0 to 1, or bundle",
        ),
        (policy_text(unsure="{min_confidence: true}"), "must be a probability"),
        (policy_text(unsure="{min_confidence: 0.9, disposition: scrap}"), "unsure, disposition: "),
        (
            policy_text(rules="[{name: a, disposition: hold, classes: class 1}]"),
            "rules 1, classes: .* not 'class 1'",
        ),
    ],
)
def test_a_policy_at_fault_is_named_with_its_entry(content: bytes, message: str) -> None:
    with pytest.raises(PolicyError, match=message) as caught:
        parse_policy(content, "mill.yaml")
    assert str(caught.value).startswith("mill.yaml")
    assert "\n" not in str(caught.value)


def test_a_policy_without_rules_says_so() -> None:
    proposal = propose(flagged_rows(), parse_policy(policy_text(), "mill.yaml"))
    assert (proposal.disposition, proposal.rule) == ("accept", "the policy has no rules")


def test_a_file_too_large_for_a_policy(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(PolicyError, match=r"p\.yaml: larger than 1 MiB"):
        read_policy(tmp_path / "p.yaml")


def test_a_missing_policy_file(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.yaml: cannot be read"):
        read_policy(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "entries",
    [
        {"thresholds": "{class 9: 0.5}"},
        {"thresholds": "{normal: 0.5}"},
        {"rules": "[{name: a, disposition: hold, classes: [class 9]}]"},
    ],
)
def test_classes_that_the_model_lacks(entries: dict[str, str]) -> None:
    policy = parse_policy(policy_text(**entries), "mill.yaml")
    with pytest.raises(PolicyError, match="the model has no defect class"):
        resolve_thresholds(policy, CLASSES, {})


def test_a_catalogue_names_and_colours_classes() -> None:
    text = b"""
name: p
version: 1
classes:
  class 3: {name: scratch, colour: "#00735a", pictures: [a.jpg, b/c.jpg]}
"""
    (entry,) = parse_policy(text, "p").classes.values()
    shown = (entry.name, entry.colour, entry.pictures)
    assert shown == ("scratch", "#00735a", ("a.jpg", "b/c.jpg"))
    # By the formula of WCAG: black 21, white 1, and #767676, the palest grey that has 4.54.
    assert contrast_on_white("#000000") == pytest.approx(21)
    assert contrast_on_white("#FFFFFF") == pytest.approx(1)
    assert contrast_on_white("#767676") == pytest.approx(4.54, abs=0.005)
    with pytest.raises(PolicyError, match="the model has no defect class 'class 3'"):
        resolve_thresholds(parse_policy(text, "p"), ("normal", "crack"), {})


@pytest.mark.parametrize(
    ("colour", "told"),
    [
        ("red", "must be a colour as #rrggbb"),
        ("#fff;}", "must be a colour as #rrggbb"),
        ("#ffee00", "too pale to be seen on white; take a darker one than #ffee00"),
    ],
)
def test_a_colour_that_cannot_be_shown_is_told(colour: str, told: str) -> None:
    text = f'name: p\nversion: 1\nclasses: {{class 1: {{colour: "{colour}"}}}}\n'
    with pytest.raises(PolicyError) as refused:
        parse_policy(text.encode(), "p.yaml")
    assert str(refused.value).startswith("p.yaml: classes, class 1, colour: ")
    assert told in str(refused.value)
