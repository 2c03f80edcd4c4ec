"""A line that a test runs: its folder, its time, and the watcher, with the toy classifier."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from toys import FakeExplainer, strip, toy_classifier, toy_features, write_strip

from inspection.pipeline import explainer as explainer_module
from inspection.pipeline import run as run_module
from inspection.pipeline.settings import Settings
from inspection.watch.inspector import Inspector
from inspection.watch.watcher import Clock, Inspected, Options, Watcher

SETTLE = 1.0
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


class TestClock(Clock):
    """Goes on when it is told to."""

    __test__ = False

    def __init__(self) -> None:
        self.time = NOON
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.time

    def running(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.time += timedelta(seconds=seconds)


def use_toys(monkeypatch: pytest.MonkeyPatch, model: str = "ab" * 32) -> None:
    classifier = toy_classifier(model)
    monkeypatch.setattr(run_module, "load_classifier", lambda *_: classifier)
    monkeypatch.setattr(explainer_module, "make_explainer", lambda *_: FakeExplainer())
    monkeypatch.setattr(explainer_module, "make_gradcam", lambda *_: FakeExplainer())
    monkeypatch.setattr(explainer_module, "make_features", lambda *_: toy_features)


class Line:
    """`heard` is what the watcher told of."""

    def __init__(self, root: Path, **options: object) -> None:
        self.root, self.out = root / "in", root / "out"
        self.root.mkdir(exist_ok=True)
        self.options = replace(Options(self.root, self.out, SETTLE), **options)  # type: ignore[arg-type]
        self.clock = TestClock()
        self.heard: list[Inspected] = []
        self.watcher = self.start()

    def start(self) -> Watcher:
        settings = Settings(bundle=Path("toy"), batch=self.root.resolve(), out=self.out)
        inspector = Inspector(settings)
        self.watcher = Watcher(self.options, inspector, self.clock, tell=self.heard.append)
        return self.watcher

    def write(self, name: str, *bright: int, width: int = 300) -> None:
        write_strip(self.root / name, strip(width, bright=bright))

    def go(self, seconds: float = 2 * SETTLE) -> None:
        """Let so much time pass, with a step of the watcher each second, and then its work."""
        self.watcher.step()
        for _ in range(round(seconds)):
            self.clock.wait(1.0)
            self.watcher.step()
        while self.watcher.step():
            pass

    def journal(self, batch: str) -> list[str]:
        return (self.out / "journal" / f"{batch}.jsonl").read_text("utf-8").splitlines()


def tables(report: Path) -> list[pd.DataFrame]:
    """The rows of a report."""
    return [pd.read_parquet(report / name) for name in ("results.parquet", "strips.parquet")]


def assert_same_tables(one: Path, other: Path) -> None:
    for ours, theirs in zip(tables(one), tables(other), strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


MakeLine = Callable[..., Line]
