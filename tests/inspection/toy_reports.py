"""A report of the toy classifier, for fixtures that outlive a test."""

from pathlib import Path

import pytest
from toys import FakeExplainer, toy_classifier

from inspection import run as run_module
from inspection.record import Settings
from inspection.run import Finished, inspect


def report_of(
    batch: Path, out: Path, explainer: FakeExplainer, policy: Path | None = None
) -> Finished:
    """Inspect `batch` with the toy classifier and `explainer`; the report lies in `out`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "load_classifier", lambda *_: toy_classifier())
        patch.setattr(run_module, "make_explainer", lambda *_: explainer)
        patch.setattr(run_module, "make_second", lambda *_: FakeExplainer())
        return inspect(Settings(bundle=Path("toy"), batch=batch, out=out, policy=policy))
