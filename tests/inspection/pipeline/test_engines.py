"""Where the work is done changes nothing of what comes of it."""

import os
import pickle
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from inspection.errors import EngineError
from inspection.pipeline import engines
from inspection.pipeline.engines import (
    Asked,
    Classify,
    Computed,
    Done,
    Explain,
    LocalEngine,
    ProcessEngine,
    Read,
    StripToClassify,
    StripToExplain,
    WorkerOptions,
    make_worker,
)
from inspection.pipeline.run import inspect
from inspection.pipeline.settings import Settings
from inspection.pipeline.strips import list_batch
from inspection.store.checksums import CHECKSUMS
from severstal_prep.images import read_image
from sise.errors import BundleError


def classify(batch: Path) -> list[Classify]:
    """A unit per strip."""
    files = list_batch(batch).strips
    return [Classify((StripToClassify(file, f"key of {file.strip_id}", True),)) for file in files]


def explain(batch: Path) -> Explain:
    """A patch of each of the first two strips."""
    strips = []
    for file in list_batch(batch).strips[:2]:
        keys = (f"{file.strip_id} 1", f"{file.strip_id} 2")
        one = Asked(file.sha256, 0, 0, "class 1", keys[0], None, "class 2", keys[1], None)
        strips.append(StripToExplain(file, (one,), False))
    return Explain(tuple(strips))


def same(one: Done, other: Done) -> None:
    pd.testing.assert_frame_equal(one.rows, other.rows)
    assert one.pictures == other.pictures
    assert one.reasons == other.reasons
    files = [[strip.file for strip in done.unit.strips] for done in (one, other)]
    assert files[0] == files[1]


def test_a_unit_and_what_comes_of_it_can_be_sent(batch: Path, options: WorkerOptions) -> None:
    worker = make_worker(pickle.loads(pickle.dumps(options)))  # noqa: S301
    for unit in (classify(batch)[0], explain(batch)):
        done = worker(unit)
        same(pickle.loads(pickle.dumps(done)), worker(pickle.loads(pickle.dumps(unit))))  # noqa: S301
    assert done.rows["key"].tolist() == ["0.png 1", "0.png 2", "1.png 1", "1.png 2"]
    assert done.rows["map_status"].tolist()[::2] == ["ok", "ok"]
    raw = [name for name in done.pictures if name.endswith("_raw.jpg")]
    assert len(raw) == 2, "of patches; the strips were drawn when they were classified"
    assert done.seconds > 0


def test_units_come_back_in_order_with_the_reason_of_what_cannot_be_read(
    batch: Path, options: WorkerOptions
) -> None:
    done = list(LocalEngine(make_worker(options))(classify(batch)))
    assert [one.unit for one in done] == classify(batch)
    assert [len(one.rows) for one in done] == [3, 1, 2, 0]
    assert [one.reasons for one in done] == [
        {},
        {},
        {},
        {"void.jpg": "the file is empty; copy it again"},
    ]
    assert done[0].rows["key"].unique().tolist() == ["key of 0.png"]
    drawn = [name.rpartition("_")[2] for one in done for name in one.pictures]
    assert drawn == ["raw.jpg", "thumb.jpg"] * 3


def test_few_units_are_held_at_a_time(batch: Path, options: WorkerOptions) -> None:
    taken: list[int] = []
    units = classify(batch) * 5

    def source() -> Iterator[Classify]:
        for number, unit in enumerate(units):
            taken.append(number)
            yield unit

    for given, _ in enumerate(LocalEngine(make_worker(options))(source())):
        assert len(taken) <= given + 4
    assert len(taken) == len(units)


def test_what_was_computed_before_an_interruption_is_given_back(
    batch: Path, options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker(options)
    compute, calls = worker.compute, list[Read]()

    def interrupted(read: Read) -> Computed:
        calls.append(read)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(read)

    monkeypatch.setattr(worker, "compute", interrupted)
    done = []
    with pytest.raises(KeyboardInterrupt):
        done.extend(LocalEngine(worker)(classify(batch)))  # extend keeps what came before
    assert [one.unit for one in done] == classify(batch)[:2]


TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:+]+|\d\d:\d\d UTC")


def report_bytes(out: Path) -> dict[str, bytes]:
    """All of the report that has no time in it, but its work."""
    files = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and not name.startswith("work/") and name not in ("log.jsonl", CHECKSUMS):
            files[name] = re.sub(
                rb"\d{4}-\d\d-\d\dT[\d:+]+|\d\d:\d\d UTC", b"TIME", path.read_bytes()
            )
    return files


@pytest.mark.slow
def test_two_processes_write_the_same_report_as_one(
    bundle: Path, batch: Path, tmp_path: Path
) -> None:
    def report(jobs: int) -> dict[str, bytes]:
        out = tmp_path / f"jobs-{jobs}"
        settings = Settings(
            bundle=bundle, batch=batch, out=out, budget=20, precision="fp32", device="cpu",
            backend="torch", batch_size=4, explain="all", jobs=jobs,
        )  # fmt: skip
        finished = inspect(settings)
        assert finished.record["counts"]["explained"] == 6
        assert finished.record["counts"]["unreadable"] == 1
        return report_bytes(out)

    one, two = report(1), report(2)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert read_image(next((tmp_path / "jobs-2" / "img").glob("*_overlay.jpg"))).shape[0] == 256


@pytest.mark.slow
def test_a_process_that_is_killed_and_a_bundle_that_is_damaged_are_said(
    batch: Path, bundle: Path, options: WorkerOptions, tmp_path: Path
) -> None:
    done = ProcessEngine(options, 2)(classify(batch) * 20)
    next(done)
    for child in engines.multiprocessing.active_children():
        os.kill(child.pid or 0, signal.SIGKILL)
    with pytest.raises(EngineError, match="run again to continue, with fewer --jobs"):
        list(done)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "model.json").write_bytes((bundle / "model.json").read_bytes())
    broken = WorkerOptions(damaged, options.model, 224, options.sise, 4)
    with pytest.raises(BundleError, match="the weights are missing"):
        list(ProcessEngine(broken, 2)(classify(batch)))
