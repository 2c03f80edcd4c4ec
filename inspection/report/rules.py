"""The policy's rules as the page says them; files keep the English of `pipeline.policy`."""

from collections.abc import Mapping
from typing import Any

from inspection.pipeline.policy import RollMarkRule
from inspection.words import percent, plural, say, word

_NO_RULE = (word("no rule applies"), word("the policy has no rules"))
_NOT_INSPECTED = "not inspected: "


def said_rules(policy: Mapping[str, Any]) -> Mapping[str, str]:
    """What strips.parquet's `rule` may say by a policy (batch.json's `policy`), as it is said."""
    said = {text: say(text) for text in _NO_RULE}
    for number, rule in enumerate(policy["rules"], 1):
        told = say("rule {n}, {rule}", n=number, rule=_rule(rule))
        said[f"rule {number}, {rule['in_words']}"] = told
    unsure = policy.get("unsure")  # which records of earlier versions lack
    if unsure is not None:
        said[unsure["in_words"]] = _unsure(unsure)
    marks = policy.get("roll_marks")
    if marks is not None:
        said[str(RollMarkRule(**marks))] = _roll_marks(marks)
    return said


def said_rule(rule: str, said: Mapping[str, str]) -> str:
    """The rule of a strip as it is said; one that is not known as it stands."""
    if rule.startswith(_NOT_INSPECTED):
        return say("not inspected: {reason}", reason=rule.removeprefix(_NOT_INSPECTED))
    return said.get(rule, rule)


def rules_of(policy: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Dispositions with their rules; a record of an earlier version knows no rule *unsure*."""
    rules = [(rule["disposition"], _rule(rule)) for rule in policy["rules"]]
    unsure = policy.get("unsure")
    if unsure is not None:
        where = say("{rule}, where accept would be proposed", rule=_unsure(unsure))
        rules.append(("hold", where))
    marks = policy.get("roll_marks")
    if marks is not None:
        where = say("{rule}, unless a rule proposes more", rule=_roll_marks(marks))
        rules.append((marks["disposition"], where))
    return tuple(rules)


def exact_percent(share: float) -> str:
    """A limit as per cent, with two decimals where it has any: 90 %, 99.53 %."""
    return percent(share, 0 if abs(100 * share - round(100 * share)) < 5e-3 else 2)


def _rule(rule: Mapping[str, Any]) -> str:
    told = plural(rule["min_patches"], "at least {n} patch flagged", "at least {n} patches flagged")
    if rule["classes"] is not None:
        told += " " + say("of {classes}", classes=", ".join(rule["classes"]))
    if rule["min_probability"]:
        told += " " + say("with {share} or more", share=exact_percent(rule["min_probability"]))
    return f"{rule['name']}: {told}"


def _roll_marks(rule: Mapping[str, Any]) -> str:
    return say("roll mark: repeats along the coil, at least {n} times", n=rule["min_repeats"])


def _unsure(unsure: Mapping[str, Any]) -> str:
    least = exact_percent(unsure["min_confidence"])
    return say(
        "unsure: at least 1 patch whose most likely class has less than {least}", least=least
    )
