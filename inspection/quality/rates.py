"""Shares with the interval that goes with them."""

from dataclasses import dataclass

from scipy.stats import binomtest

LEVEL = 0.95

Interval = tuple[float, float]


@dataclass(frozen=True)
class Rate:
    """`hits` of `trials`, 0 <= hits <= trials."""

    hits: int
    trials: int

    @property
    def share(self) -> float | None:
        """In [0, 1]; None without trials."""
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> Interval | None:
        """95 % Wilson interval (Wilson, JASA 1927); None without trials.

        It takes trials to be independent. Patches of one strip are not: for them it is too
        narrow, and the interval over strips is the safer one.
        """
        if not self.trials:
            return None
        found = binomtest(self.hits, self.trials).proportion_ci(LEVEL, method="wilson")
        return float(found.low), float(found.high)
