"""A report of the toy classifier, for fixtures that outlive a test."""

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from toys import FakeExplainer, toy_classifier, toy_features

from inspection.pipeline import explainer as explainer_module
from inspection.pipeline import run as run_module
from inspection.pipeline.run import Finished, inspect
from inspection.pipeline.settings import Settings


def report_of(
    batch: Path,
    out: Path,
    explainer: FakeExplainer,
    policy: Path | None = None,
    metrics: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Finished:
    """Inspect `batch` with the toy classifier and `explainer`; the report lies in `out`.

    `metrics` are those of the classifier's card.
    """
    classifier = toy_classifier(metrics=metrics)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "load_classifier", lambda *_: classifier)
        patch.setattr(explainer_module, "make_explainer", lambda *_: explainer)
        patch.setattr(explainer_module, "make_gradcam", lambda *_: FakeExplainer())
        patch.setattr(explainer_module, "make_features", lambda *_: toy_features)
        chosen = Settings(bundle=Path("toy"), batch=batch, out=out, policy=policy, **settings)
        return inspect(chosen)


def data_of(report: Path) -> Any:
    """What the page's scripts get."""
    text = (report / "data" / "report.js").read_text("utf-8")
    literal = text.removeprefix("const REPORT = JSON.parse(").removesuffix(");\n")
    return json.loads(ast.literal_eval(literal))
