from collections.abc import Callable
from pathlib import Path

import pytest
from toys import FakeExplainer, toy_classifier, toy_features

from inspection.pipeline import explainer as explainer_module
from inspection.pipeline import run as run_module
from inspection.pipeline.run import Finished, inspect
from inspection.pipeline.settings import Settings

Inspect = Callable[..., Finished]


@pytest.fixture(autouse=True)
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no charts in the reports that a test makes itself, where nobody looks at them.

    Those of a module's or a session's fixtures have them.
    """
    monkeypatch.setattr("inspection.report.build.draw", lambda *_: ())


@pytest.fixture
def inspect_toy(monkeypatch: pytest.MonkeyPatch) -> Inspect:
    """`inspect` with the toy classifier and a fake explainer."""

    def call(
        batch: Path, out: Path, explainer: FakeExplainer | None = None, **settings: object
    ) -> Finished:
        model = str(settings.pop("model", "ab" * 32))
        metrics = settings.pop("metrics", None)
        classifier = settings.pop("classifier", None) or toy_classifier(model, metrics=metrics)  # type: ignore[arg-type]
        fake = explainer or FakeExplainer()
        monkeypatch.setattr(run_module, "load_classifier", lambda *_: classifier)
        monkeypatch.setattr(explainer_module, "make_explainer", lambda *_: fake)
        monkeypatch.setattr(explainer_module, "make_gradcam", lambda *_: FakeExplainer())
        monkeypatch.setattr(explainer_module, "make_features", lambda *_: toy_features)
        return inspect(Settings(bundle=Path("toy"), batch=batch, out=out, **settings))  # type: ignore[arg-type]

    return call
