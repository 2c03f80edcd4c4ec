"""What a recipe marks as worth trying: the ranges of its block `tune`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.errors import RecipeError

if TYPE_CHECKING:
    from optuna.trial import Trial

NOT_TUNED = ("out", "config", "tune", "monitor", "data.root", "trainer.devices")
Number = int | float
Choice = bool | int | float | str | None


@dataclass(frozen=True)
class Range:
    """Values of an option: from `low` to `high`, or one of `choices`.

    Whole numbers at both ends mean whole numbers. `log` spreads them evenly over the logarithm,
    `step` parts them evenly.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    step: Number | None = None
    choices: tuple[Choice, ...] = ()

    @property
    def first(self) -> Choice:
        return self.choices[0] if self.choices else self.low

    @property
    def last(self) -> Choice:
        return self.choices[-1] if self.choices else self.high

    def suggest(self, trial: "Trial", name: str) -> Choice:
        """A value for `name`, as the trial's sampler draws it."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        low, high, step = self.low, self.high, self.step
        if isinstance(low, int) and isinstance(high, int):
            return trial.suggest_int(name, low, high, step=int(step or 1), log=self.log)
        assert low is not None  # noqa: S101
        assert high is not None  # noqa: S101
        return trial.suggest_float(name, low, high, step=step, log=self.log)

    def as_dict(self) -> dict[str, Any]:
        """The values as JSON has them."""
        ends = {"low": self.low, "high": self.high, "log": self.log, "step": self.step}
        return {"choices": list(self.choices)} if self.choices else ends


def read_ranges(block: Mapping[str, Any]) -> dict[str, Range]:
    """The block `tune` of a recipe: a range for each option, by its full name.

    Raises RecipeError, naming the option, for what is no range.
    """
    if not block:
        raise RecipeError(
            "tune: the recipe marks nothing to try; give it a block such as "
            "`tune: {model.optimizer.init_args.lr: {low: 0.0001, high: 0.01, log: true}}`"
        )
    return {name: _range(name, entry) for name, entry in block.items()}


def _range(name: str, entry: Any) -> Range:
    if name in NOT_TUNED:
        raise RecipeError(f"tune: {name} is the same for all trials")
    known = ("low", "high", "log", "step", "choices")
    if not isinstance(entry, Mapping) or not set(entry) <= set(known):
        raise RecipeError(f"tune: {name}: give {{low: …, high: …}}, with log or step, or choices")
    if "choices" in entry:
        choices = entry["choices"]
        if len(entry) > 1 or not isinstance(choices, list) or not choices:
            raise RecipeError(f"tune: {name}: choices is a list of values, and stands alone")
        return Range(choices=tuple(choices))
    low, high, step = (_number(name, entry, key) for key in ("low", "high", "step"))
    log = entry.get("log", False)
    if low is None or high is None or not low < high:
        raise RecipeError(f"tune: {name}: low must be a number below high")
    if not isinstance(log, bool):
        raise RecipeError(f"tune: {name}: log is true or false")
    if log and (low <= 0 or step is not None):
        raise RecipeError(f"tune: {name}: log needs low above 0, and no step")
    if step is not None and step <= 0:
        raise RecipeError(f"tune: {name}: step must be above 0")
    return Range(low, high, log, step)


def _number(name: str, entry: Mapping[str, Any], key: str) -> Number | None:
    value = entry.get(key)
    if isinstance(value, str):  # YAML takes 1e-5 for a word
        try:
            value = float(value)
        except ValueError as error:
            raise RecipeError(f"tune: {name}: {key} must be a number, not {value!r}") from error
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise RecipeError(f"tune: {name}: {key} must be a number, not {value!r}")
