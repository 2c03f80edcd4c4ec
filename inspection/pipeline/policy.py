"""Probabilities to flags, and flags to a proposed disposition, by written rules.

A policy is a YAML file (see `policies/default.yaml`); this module reads and applies it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, ConfigDict, Field

from inspection.errors import PolicyError
from severstal_prep.checked import LARGEST_YAML, checked, parse_yaml

NORMAL = "normal"

Disposition = Literal["accept", "hold", "rework", "scrap"]
DISPOSITIONS: tuple[str, ...] = get_args(Disposition)


def _text(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("must not be blank")
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Rule:
    """Propose `disposition` if `min_patches` flagged patches of `classes` reach `min_probability`.

    `classes` is None for any defect class. A patch is of the class that it indicates; what must
    reach `min_probability` is the probability that it shows one of `classes`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Text
    disposition: Disposition
    classes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    min_patches: Annotated[int, Field(ge=1)] = 1
    min_probability: Share = 0.0

    def matching(self, flagged: pd.DataFrame) -> pd.DataFrame:
        """The flagged patches that count, of rows with a probability per class."""
        if self.classes is None:
            return flagged[any_defect(flagged) >= self.min_probability]
        own = flagged[flagged["indicated"].isin(self.classes)]
        columns = [probability_column(name) for name in dict.fromkeys(self.classes)]
        together = own[columns].astype(np.float64).sum(axis=1)
        return own[together >= self.min_probability]

    def __str__(self) -> str:
        count = "1 patch" if self.min_patches == 1 else f"{self.min_patches} patches"
        of = "" if self.classes is None else f" of {' or '.join(self.classes)}"
        strength = f" at {self.min_probability:.2f} or more" if self.min_probability else ""
        return f"{self.name}: at least {count} flagged{of}{strength}"


@dataclass(frozen=True)
class WeakRule:
    """Limits of the three tests of trust, and how many failures make an explanation weak.

    `max_drop`: share of the score that is lost when the map's top 15 % alone are kept.
    `max_removed`: share of the score that is left without them. `min_agreement`: correlation
    with the second method's map. A test that could not be made is not failed. The defaults were
    chosen on pixel truth (docs/quality.md).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    max_drop: Share = 0.2
    max_removed: Share = 0.95
    min_agreement: Annotated[float, Field(ge=-1, le=1)] = 0.3
    failures: Annotated[int, Field(ge=1, le=3)] = 2


BUNDLE = "bundle"
UNSURE = "unsure"

ANY_DEFECT = 0.5
"""From which 1 − P(normal) on a patch is flagged, where neither policy nor bundle says."""


def _confidence(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value != BUNDLE and not (number and 0 <= value <= 1):
        raise ValueError("must be a probability, 0 to 1, or bundle")
    return value


@dataclass(frozen=True)
class UnsureRule:
    """Hold a strip that would be accepted, if a patch with steel is below `min_confidence`.

    Confidence is the probability of the patch's most probable class. "bundle" stands for the
    confidence above which the model's card lets the machine decide alone.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    min_confidence: Annotated[float | Literal["bundle"], BeforeValidator(_confidence)]

    def __str__(self) -> str:
        least = self.min_confidence
        known = least if isinstance(least, str) else f"{least:.6g}"
        return f"{UNSURE}: at least 1 patch with a confidence below {known}"


@dataclass(frozen=True)
class RollMarkRule:
    """Propose `disposition` for the strips of a roll mark (`inspection.coil`), where no rule
    proposes one more severe. What is looked for: `min_repeats` turns at least, `shortest_m` to
    `longest_m` apart, each within `tolerance_mm`; `false_alarms` is the rate of coils without a
    mark in which one is found, at most."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    disposition: Disposition = "hold"
    min_repeats: Annotated[int, Field(ge=3)] = 4
    shortest_m: Annotated[float, Field(gt=0)] = 0.3
    longest_m: Annotated[float, Field(gt=0, le=100)] = 6.3
    tolerance_mm: Annotated[float, Field(gt=0)] = 30.0
    false_alarms: Annotated[float, Field(gt=0, le=1)] = 0.01

    def __str__(self) -> str:
        return f"roll mark: repeats along the coil, at least {self.min_repeats} times"


DARKEST_CONTRAST = 3.0
"""Of a class's colour on white, at least (WCAG 1.4.11)."""


def _colour(value: Any) -> Any:
    if value and not re.fullmatch("#[0-9a-fA-F]{6}", str(value)):
        raise ValueError("must be a colour as #rrggbb")
    if value and contrast_on_white(str(value)) < DARKEST_CONTRAST:
        raise ValueError(f"too pale to be seen on white; take a darker one than {value}")
    return value


def contrast_on_white(colour: str) -> float:
    """The contrast ratio of #rrggbb on white, 1 to 21 (WCAG 2.2, relative luminance)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 1.05 / (luminance + 0.05)


@dataclass(frozen=True)
class CatalogueEntry:
    """How the page shows a class of the model: `name`, "" for the model's; `colour` as #rrggbb, ""
    for ours; `pictures` of what it looks like, JPEG files beside the policy or below."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=60)] = ""
    colour: Annotated[str, BeforeValidator(_colour)] = ""
    pictures: Annotated[tuple[str, ...], Field(max_length=12)] = ()


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """Thresholds and ordered rules, as a file gives them.

    `any_defect_threshold` is None where the bundle's holds. `list_unsure` is 1 − P(normal) from
    which a patch that is not flagged is listed. `classes` is the defect catalogue: how the page
    shows the model's classes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Text
    version: Text
    thresholds: Mapping[str, Share] = field(default_factory=dict)
    default_threshold: Share = 0.5
    any_defect_threshold: Share | None = None
    list_unsure: Share = 0.2
    black_threshold: Share = 0.95
    rules: tuple[Rule, ...] = ()
    otherwise: Disposition = "accept"
    not_inspected: Literal["hold", "rework", "scrap"] = "hold"
    unsure: UnsureRule | None = None
    roll_marks: RollMarkRule | None = None
    classes: Mapping[str, CatalogueEntry] = field(default_factory=dict)
    weak: Annotated[WeakRule, Field(alias="weak_explanation")] = WeakRule()


@dataclass(frozen=True, kw_only=True)
class Policy(PolicyFile):
    """A policy, and the file it was read from with its SHA-256."""

    source: str
    sha256: str


@dataclass(frozen=True)
class Proposal:
    """A proposed disposition, and the rule that gave it in words."""

    disposition: str
    rule: str


def default_policy() -> Policy:
    """The policy that comes with the package."""
    text = files("inspection").joinpath("policies/default.yaml").read_bytes()
    return parse_policy(text, "default policy")


def read_policy(path: Path) -> Policy:
    """Read a policy file. Raises PolicyError, naming the file and the entry at fault."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_YAML + 1)
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(content) > LARGEST_YAML:
        raise PolicyError(f"{path}: larger than {LARGEST_YAML // 2**20} MiB; is it a policy?")
    return parse_policy(content, str(path))


def parse_policy(content: bytes, source: str) -> Policy:
    """Parse a policy's YAML. `source` names it in errors. Raises PolicyError."""
    try:
        entries = parse_yaml(content)
        for name in ("thresholds", "weak_explanation"):
            if isinstance(entries, dict) and entries.get(name, ...) is None:
                del entries[name]  # a name with nothing behind it
        policy = checked(PolicyFile, entries)
    except ValueError as error:
        raise PolicyError(
            f"{source}: {error}; inspection/policies/default.yaml explains every entry"
        ) from error
    return Policy(**vars(policy), source=source, sha256=hashlib.sha256(content).hexdigest())


def resolve_thresholds(
    policy: Policy, classes: Sequence[str], bundle_thresholds: Mapping[str, float]
) -> dict[str, float]:
    """The threshold of each defect class: the policy's, else the bundle's, else the default.

    Raises PolicyError if the policy names a class that is not a defect class of the model.
    """
    defects = [name for name in classes if name != NORMAL]
    named = [
        *policy.thresholds,
        *policy.classes,
        *(name for rule in policy.rules for name in rule.classes or ()),
    ]
    unknown = [name for name in named if name not in defects]
    if unknown:
        raise PolicyError(
            f"{policy.source}: the model has no defect class {unknown[0]!r}; "
            f"it has {', '.join(defects)}"
        )
    fallback = policy.default_threshold
    return {
        name: float(policy.thresholds.get(name, bundle_thresholds.get(name, fallback)))
        for name in defects
    }


def resolve_by_card(policy: Policy, metrics: Mapping[str, Any]) -> Policy:
    """The policy with nothing left to the bundle, whose card has these `metrics`.

    `any_defect_threshold` is the policy's, else that chosen by costs, else `ANY_DEFECT`; the rule
    *unsure* gets its number. Raises PolicyError if the card lacks what the policy asks of it.
    """
    if policy.any_defect_threshold is None:
        policy = replace(policy, any_defect_threshold=_any_defect_of(metrics))
    if policy.unsure is None or policy.unsure.min_confidence != BUNDLE:
        return policy
    try:
        least = checked(Share, metrics["risk_coverage"]["alone"]["min_confidence"])
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(
            f"{policy.source}: unsure, min_confidence: the model's card names no confidence above "
            "which the machine may decide alone; give a number, or make the bundle anew with "
            "defect-train export --data.root DATASET --risk R"
        ) from error
    return replace(policy, unsure=UnsureRule(least))


def _any_defect_of(metrics: Mapping[str, Any]) -> float:
    """What the card has chosen by costs; bundles of earlier versions, and without costs, have
    chosen nothing."""
    try:
        return float(checked(Share, metrics["decision"]["any_defect_threshold"]))
    except (KeyError, TypeError, ValueError):
        return ANY_DEFECT


def probability_column(class_name: str) -> str:
    """The column that holds a class's probability: "class 3" is in "p_class_3"."""
    return "p_" + re.sub(r"\W+", "_", class_name.lower())


def any_defect(patches: pd.DataFrame) -> pd.Series:
    """1 − P(normal) of each patch: the defect classes together."""
    return 1 - patches[probability_column(NORMAL)].astype(np.float64)


def flag(
    patches: pd.DataFrame,
    classes: Sequence[str],
    thresholds: Mapping[str, float],
    policy: PolicyFile,
) -> pd.DataFrame:
    """Stage "flag": add steel, predicted, confidence, flagged, indicated, class_unsure, score, near
    and unsure to patches. `thresholds` is per defect class; one of `classes` is "normal".

    A patch whose `black_fraction` exceeds the policy's `black_threshold` shows no steel; the
    classifier was trained on none such, and it is never flagged. Another patch is flagged when a
    defect class reaches its threshold (p ≥ threshold), or all together the any-defect threshold
    (1 − P(normal) ≥ threshold).

    `indicated` is the most probable class among those that reach their own threshold; where none
    does, the most probable defect class, with `class_unsure`; "" where the patch is not flagged.
    `score` is the probability of the indicated class, of the predicted one where none is indicated;
    `confidence` is that of the predicted class. `unsure` says whether the policy's rule *unsure*
    finds the patch's confidence too low, `near` whether it is not flagged, but listed: so unsure,
    or with a 1 − P(normal) of at least `list_unsure`.
    """
    probabilities = patches[[probability_column(name) for name in classes]].to_numpy(np.float64)
    limits = np.array([thresholds.get(name, np.inf) for name in classes])
    reached = np.where(probabilities >= limits, probabilities, -1.0)
    own = reached.max(axis=1, initial=-1.0) >= 0
    defect = np.where(np.array(classes) == NORMAL, -1.0, probabilities)
    together = any_defect(patches).to_numpy()
    least = ANY_DEFECT if policy.any_defect_threshold is None else policy.any_defect_threshold
    steel = patches["black_fraction"].to_numpy() <= policy.black_threshold
    flagged = steel & (own | (together >= least))
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    indicated = np.where(own, reached.argmax(axis=1), defect.argmax(axis=1))
    explained = np.where(flagged, indicated, predicted)
    unsure = steel & (confidence < _least_confidence(policy))
    names = np.array(classes, dtype=object)
    return patches.assign(
        steel=steel,
        predicted=names[predicted],
        confidence=confidence,
        flagged=flagged,
        indicated=np.where(flagged, names[explained], ""),
        class_unsure=flagged & ~own,
        score=probabilities[np.arange(len(patches)), explained],
        near=steel & ~flagged & (unsure | (together >= policy.list_unsure)),
        unsure=unsure,
    )


def _least_confidence(policy: PolicyFile) -> float:
    """Below which the rule *unsure* holds; the rule's "bundle" is in numbers."""
    return 0.0 if policy.unsure is None else float(policy.unsure.min_confidence)


def propose(patches: pd.DataFrame, policy: Policy) -> Proposal:
    """The proposed disposition of one strip from its rows of `flag`."""
    proposal = _by_rules(patches[patches["flagged"]], policy)
    if policy.unsure is None or proposal.disposition != "accept":
        return proposal
    return Proposal("hold", str(policy.unsure)) if patches["unsure"].any() else proposal


def propose_for_mark(proposal: Proposal, policy: Policy) -> Proposal:
    """The proposed disposition of a strip that holds a turn of a roll mark."""
    rule = policy.roll_marks
    order = DISPOSITIONS.index
    if rule is None or order(proposal.disposition) >= order(rule.disposition):
        return proposal
    return Proposal(rule.disposition, str(rule))


def _by_rules(flagged: pd.DataFrame, policy: Policy) -> Proposal:
    for number, rule in enumerate(policy.rules, 1):
        if len(rule.matching(flagged)) >= rule.min_patches:
            return Proposal(rule.disposition, f"rule {number}, {rule}")
    return Proposal(
        policy.otherwise, "no rule applies" if policy.rules else "the policy has no rules"
    )
