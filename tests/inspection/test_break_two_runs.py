"""Two runs on one report folder: the second is refused, and the first's report is what it was."""

from collections.abc import Callable
from pathlib import Path

import pytest
from toys import FakeExplainer, strip, write_strip

from inspection.pipeline.run import Finished
from severstal_prep.alone import LOCK, alone
from severstal_prep.errors import InUseError

Inspect = Callable[..., Finished]


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    write_strip(tmp_path / "batch" / "s.png", strip(512, bright=[40]))
    return tmp_path / "batch"


def contents(out: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_second_run_is_refused_while_the_first_explains(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    out = tmp_path / "out"
    refused = []

    class Meanwhile(FakeExplainer):
        def __call__(self, *args: object, **named: object):  # type: ignore[no-untyped-def]
            before = contents(out)
            with pytest.raises(InUseError, match=f"{out}: process .* writes here; wait") as error:
                inspect_toy(batch, out)
            refused.append(error)
            assert contents(out) == before
            return super().__call__(*args, **named)

    inspect_toy(batch, out, explainer=Meanwhile())
    assert refused
    assert not (out / "work" / LOCK).exists()
    assert inspect_toy(batch, out).up_to_date, "the first's report is whole"


def test_a_finished_report_is_kept_from_runs_of_other_settings(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    out = tmp_path / "out"
    inspect_toy(batch, out)
    with alone(out, out / "work"):
        before = contents(out)
        with pytest.raises(InUseError):
            inspect_toy(batch, out, explain="all")
        assert contents(out) == before
    assert not inspect_toy(batch, out, explain="all").up_to_date


def test_what_a_run_leaves_that_was_killed_before_its_first_file_is_taken_over(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    out = tmp_path / "out"
    (out / "img").mkdir(parents=True)
    (out / "work").mkdir()
    (out / "work" / LOCK).write_text('{"pid": 1, "host": "x", "since": "2026"}')
    (out / "work" / ".source.json.partial").write_text('{"for')
    assert not inspect_toy(batch, out).up_to_date
