"""Probabilities to flags, and flags to a proposed disposition, by written rules.

A policy is a YAML file (see `policies/default.yaml`); this module reads and applies it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from inspection.errors import PolicyError
from inspection.quality.weak import WeakRule, parse_weak_rule
from severstal_prep.checked import LARGEST_YAML, parse_yaml

DISPOSITIONS = ("accept", "hold", "rework", "scrap")
NORMAL = "normal"


@dataclass(frozen=True)
class Rule:
    """Propose `disposition` if `min_patches` flagged patches of `classes` reach `min_probability`.

    `classes` is None for any defect class.
    """

    name: str
    disposition: str
    classes: tuple[str, ...] | None = None
    min_patches: int = 1
    min_probability: float = 0.0

    def __str__(self) -> str:
        count = "1 patch" if self.min_patches == 1 else f"{self.min_patches} patches"
        of = "" if self.classes is None else f" of {' or '.join(self.classes)}"
        strength = f" at {self.min_probability:.2f} or more" if self.min_probability else ""
        return f"{self.name}: at least {count} flagged{of}{strength}"


@dataclass(frozen=True)
class Policy:
    """Thresholds and ordered rules. `sha256` is that of the file they were read from."""

    name: str
    version: str
    thresholds: Mapping[str, float]
    default_threshold: float
    black_threshold: float
    rules: tuple[Rule, ...]
    otherwise: str
    not_inspected: str
    source: str
    sha256: str
    weak: WeakRule


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
        raise PolicyError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > LARGEST_YAML:
        raise PolicyError(f"{path}: larger than {LARGEST_YAML // 2**20} MiB; is it a policy?")
    return parse_policy(content, str(path))


def parse_policy(content: bytes, source: str) -> Policy:
    """Parse a policy's YAML. `source` names it in errors. Raises PolicyError."""
    try:
        loaded = parse_yaml(content)
    except ValueError as error:
        raise PolicyError(f"{source}: {error}") from error
    entries = _Entries(loaded, source)
    entries.only("name", "version", "thresholds", "default_threshold",
                 "black_threshold", "rules", "otherwise",
                 "not_inspected", "weak_explanation")  # fmt: skip
    thresholds = _Entries(entries.take("thresholds", {}) or {}, f"{source}: thresholds")
    rules = entries.take("rules", [])
    if not isinstance(rules, list):
        raise PolicyError(f"{source}: rules must be a list")
    not_inspected = entries.disposition("not_inspected", "hold")
    if not_inspected == "accept":
        raise PolicyError(
            f"{source}: not_inspected must be hold, rework or scrap: what was not inspected "
            "cannot be accepted"
        )
    return Policy(
        name=entries.text("name"),
        version=entries.text("version"),
        thresholds={name: thresholds.probability(name) for name in thresholds.content},
        default_threshold=entries.probability("default_threshold", 0.5),
        black_threshold=entries.probability("black_threshold", 0.95),
        rules=tuple(_rule(rule, f"{source}: rule {n}") for n, rule in enumerate(rules, 1)),
        otherwise=entries.disposition("otherwise", "accept"),
        not_inspected=not_inspected,
        source=source,
        sha256=hashlib.sha256(content).hexdigest(),
        weak=parse_weak_rule(entries.take("weak_explanation", None), f"{source}: weak_explanation"),
    )


def _rule(content: Any, where: str) -> Rule:
    entries = _Entries(content, where)
    entries.only("name", "disposition", "classes", "min_patches", "min_probability")
    classes = entries.take("classes", None)
    if classes is not None and not (
        isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)
    ):
        raise PolicyError(f"{where}: classes must be a list of class names")
    min_patches = entries.take("min_patches", 1)
    if not isinstance(min_patches, int) or isinstance(min_patches, bool) or min_patches < 1:
        raise PolicyError(f"{where}: min_patches must be a whole number from 1, not {min_patches}")
    return Rule(
        name=entries.text("name"),
        disposition=entries.disposition("disposition"),
        classes=None if classes is None else tuple(classes),
        min_patches=min_patches,
        min_probability=entries.probability("min_probability", 0.0),
    )


class _Entries:
    """A YAML mapping whose entries are checked as they are taken."""

    def __init__(self, content: Any, where: str) -> None:
        if not isinstance(content, dict):
            raise PolicyError(f"{where}: expected `name: value` entries")
        self.content: dict[str, Any] = content
        self.where = where

    def only(self, *names: str) -> None:
        unknown = [str(name) for name in self.content if name not in names]
        if unknown:
            raise PolicyError(
                f"{self.where}: unknown entry {', '.join(unknown)}; one of {', '.join(names)}"
            )

    def take(self, name: str, default: Any) -> Any:
        return self.content.get(name, default)

    def text(self, name: str) -> str:
        value = self.content.get(name)
        if not isinstance(value, str | int | float) or str(value).strip() == "":
            raise PolicyError(f"{self.where}: {name} is missing")
        return str(value)

    def probability(self, name: str, default: float | None = None) -> float:
        value = self.content.get(name, default)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None or not number or not 0 <= value <= 1:
            raise PolicyError(f"{self.where}: {name} must be a number from 0 to 1, not {value}")
        return float(value)

    def disposition(self, name: str, default: str | None = None) -> str:
        value = self.content.get(name, default)
        if value not in DISPOSITIONS:
            raise PolicyError(
                f"{self.where}: {name} must be one of {', '.join(DISPOSITIONS)}, not {value}"
            )
        return str(value)


def resolve_thresholds(
    policy: Policy, classes: Sequence[str], bundle_thresholds: Mapping[str, float]
) -> dict[str, float]:
    """The threshold of each defect class: the policy's, else the bundle's, else the default.

    Raises PolicyError if the policy names a class that is not a defect class of the model.
    """
    defects = [name for name in classes if name != NORMAL]
    named = [*policy.thresholds, *(name for rule in policy.rules for name in rule.classes or ())]
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


def probability_column(class_name: str) -> str:
    """The column that holds a class's probability: "class 3" is in "p_class_3"."""
    return "p_" + re.sub(r"\W+", "_", class_name.lower())


def flag(
    patches: pd.DataFrame,
    classes: Sequence[str],
    thresholds: Mapping[str, float],
    black_threshold: float,
) -> pd.DataFrame:
    """Stage "flag": add steel, predicted, flagged, indicated and score to rows of probabilities.

    A patch whose `black_fraction` exceeds `black_threshold` shows no steel; the classifier was
    trained on none such, and it is never flagged. Another patch is flagged when a defect class
    reaches its threshold (p ≥ threshold). `indicated`
    is the most probable class among those that do, "" if none does. `score` is the
    probability of the indicated class, of the predicted one where none is indicated.
    """
    probabilities = patches[[probability_column(name) for name in classes]].to_numpy(np.float64)
    limits = np.array([thresholds.get(name, np.inf) for name in classes])
    reached = np.where(probabilities >= limits, probabilities, -1.0)
    steel = patches["black_fraction"].to_numpy() <= black_threshold
    flagged = steel & (reached.max(axis=1, initial=-1.0) >= 0)
    predicted = probabilities.argmax(axis=1)
    explained = np.where(flagged, reached.argmax(axis=1), predicted)
    names = np.array(classes, dtype=object)
    return patches.assign(
        steel=steel,
        predicted=names[predicted],
        flagged=flagged,
        indicated=np.where(flagged, names[explained], ""),
        score=probabilities[np.arange(len(patches)), explained],
    )


def propose(patches: pd.DataFrame, policy: Policy) -> Proposal:
    """The proposed disposition of one strip from its rows of `flag`."""
    flagged = patches[patches["flagged"]]
    for number, rule in enumerate(policy.rules, 1):
        matching = flagged[flagged["score"] >= rule.min_probability]
        if rule.classes is not None:
            matching = matching[matching["indicated"].isin(rule.classes)]
        if len(matching) >= rule.min_patches:
            return Proposal(rule.disposition, f"rule {number}, {rule}")
    return Proposal(
        policy.otherwise, "no rule fired" if policy.rules else "the policy has no rules"
    )
