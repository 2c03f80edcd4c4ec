"""Guessing passwords takes long: a name gets few attempts from one address, and an address some."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

WINDOW_SECONDS = 15 * 60
MOST_BY_NAME = 5
MOST_BY_ADDRESS = 50
_MOST_KEYS = 10_000


@dataclass
class Attempts:
    """Failed attempts of the last quarter of an hour."""

    clock: Callable[[], float] = time.monotonic
    times: dict[tuple[str, str | None], list[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def begin(self, address: str, name: str) -> float:
        """Seconds to wait; 0: the attempt may be made, and counts until it succeeded."""
        now = self.clock()
        keys = {(address, name): MOST_BY_NAME, (address, None): MOST_BY_ADDRESS}
        with self._lock:
            if len(self.times) > _MOST_KEYS:
                self.times = {k: t for k in self.times if (t := self._recent(k, now))}
            wait = max(self._wait(key, most, now) for key, most in keys.items())
            if wait == 0:
                for key in keys:
                    self.times[key] = [*self._recent(key, now), now]
            return wait

    def succeeded(self, address: str, name: str) -> None:
        """Forget the attempts at this name, and the one that succeeded."""
        with self._lock:
            self.times.pop((address, name), None)
            self.times[address, None] = self.times.get((address, None), [])[:-1]

    def _recent(self, key: tuple[str, str | None], now: float) -> list[float]:
        return [then for then in self.times.get(key, ()) if now - then < WINDOW_SECONDS]

    def _wait(self, key: tuple[str, str | None], most: int, now: float) -> float:
        recent = self._recent(key, now)
        return recent[-most] + WINDOW_SECONDS - now if len(recent) >= most else 0
