from collections.abc import Callable
from pathlib import Path

import pytest
from toys import FakeExplainer, toy_classifier

from inspection import run as run_module
from inspection.record import Settings
from inspection.run import Finished, inspect

Inspect = Callable[..., Finished]


@pytest.fixture
def inspect_toy(monkeypatch: pytest.MonkeyPatch) -> Inspect:
    """`inspect` with the toy classifier and a fake explainer."""

    def call(
        batch: Path, out: Path, explainer: FakeExplainer | None = None, **settings: object
    ) -> Finished:
        model = str(settings.pop("model", "ab" * 32))
        metrics = settings.pop("metrics", None)
        classifier = toy_classifier(model, metrics=metrics)  # type: ignore[arg-type]
        fake = explainer or FakeExplainer()
        monkeypatch.setattr(run_module, "load_classifier", lambda *_: classifier)
        monkeypatch.setattr(run_module, "make_explainer", lambda *_: fake)
        monkeypatch.setattr(run_module, "make_gradcam", lambda *_: FakeExplainer())
        return inspect(Settings(bundle=Path("toy"), batch=batch, out=out, **settings))  # type: ignore[arg-type]

    return call
