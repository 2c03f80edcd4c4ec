"""A build that was interrupted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built import contents

from severstal_prep import build as build_module
from severstal_prep import workers
from severstal_prep.build import Request, build
from severstal_prep.dataset import read_manifest
from severstal_prep.errors import DatasetError
from severstal_prep.images import read_image, write_jpeg
from severstal_prep.recast import Rules
from severstal_prep.strips import StripRecord
from severstal_prep.workfolder import WorkFolder


def interrupt_after(strips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(function: Any, tasks: Sequence[Any], jobs: int) -> Iterator[Any]:
        for task in tasks[:strips]:
            yield function(task)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "run", run)


def test_an_interrupted_build_continues(
    request_seven: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(replace(request_seven, out=tmp_path / "whole"))
    with monkeypatch.context() as patch:
        interrupt_after(4, patch)
        with pytest.raises(KeyboardInterrupt):
            build(request_seven)
    out = request_seven.out
    assert [path.name for path in out.iterdir()] == [".build"]
    with pytest.raises(DatasetError, match="interrupted build"):
        read_manifest(out)
    crops = out / ".build" / "crops"
    cut = {path.name: path.stat().st_mtime_ns for path in crops.iterdir()}
    assert {name[0] for name in cut} == {"a", "b", "c", "d"}
    # What an interruption can leave: half a line in the journal, a damaged crop.
    with (out / ".build" / "strips.jsonl").open("a") as journal:
        journal.write('{"image": "e.jpg", "sha2')
    damaged = crops / "a_x288.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    build(request_seven)
    assert contents(out) == contents(tmp_path / "whole")
    kept = {
        path.name: path.stat().st_mtime_ns
        for path in (out / "crops").rglob("*.png")
        if path.name in cut and path.name[0] != "a"
    }
    assert len(kept) == 18
    assert kept == {name: time for name, time in cut.items() if name[0] != "a"}


def test_an_interruption_among_the_last_steps_is_undone(
    seven_strips: Any, request_seven: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(root: Path, manifest: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build_module, "write_manifest", fail)
        with pytest.raises(KeyboardInterrupt):
            build(request_seven)
    assert not (request_seven.out / "dataset.json").exists()
    # Meanwhile the strip is replaced by one whose normal crops are black.
    seven_strips.add_strip("a.jpg", black_from=500)
    build(request_seven)
    build(replace(request_seven, out=tmp_path / "whole"))
    assert contents(request_seven.out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[]", b"1", b'{"image": "\\ud800"}', b"[" * 9999])
def test_a_journal_with_a_damaged_line_counts_as_one_without(line: bytes, tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    work.path.mkdir()
    whole = b'{"image": "a.jpg", "sha256": "ff"}'
    (work.path / "strips.jsonl").write_bytes(b"\n".join([line, whole, line, b""]))
    assert work.read_journal(StripRecord) == {"a.jpg": StripRecord("a.jpg", "ff")}


@pytest.mark.usefixtures("quick_overview")
def test_ctrl_c_exits_with_130_and_can_be_continued(kaggle: Any, tmp_path: Path) -> None:
    pixels = read_image(kaggle.add_strip("s00.jpg"))
    strips = workers.TASKS_PER_WORKER + 1  # enough for two processes
    rows = []
    for i in range(strips):
        write_jpeg(kaggle.images / f"s{i:02}.jpg", np.roll(pixels, 20 * i, axis=1))
        rows.append(f"s{i:02}.jpg,3,{1000 * (i + 1)} 20")
    kaggle.rows = rows
    kaggle.write()
    out = tmp_path / "out"
    command = [sys.executable, "-m", "severstal_prep", "build", "--csv", str(kaggle.csv),
               "--images", str(kaggle.images), "--out", str(out), "--jobs", "2",
               "--normals", "none"]  # fmt: skip
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # The tests may run where SIGINT is ignored (nohup).
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    journal = out / ".build" / "strips.jsonl"
    deadline = time.monotonic() + 30
    while not (journal.exists() and journal.read_text().count("{") >= 2):
        assert time.monotonic() < deadline, process.communicate()
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "run the same command again to continue" in errors
    assert not (out / "dataset.json").exists()
    rules = Rules(normals="none")
    assert build(Request(kaggle.csv, kaggle.images, out, rules)).card["strips"] == strips


CHANGED = {
    "offset": ({"rules": Rules(offset=0)}, "with --offset 32, not 0"),
    "threshold": ({"rules": Rules(black_threshold=1)}, "with --black-threshold 0.95, not 1"),
    "seed": ({"seed": 7}, "with --seed 0, not 7"),
    "split": ({"split": "paper"}, "with --split grouped, not paper"),
}


@pytest.mark.parametrize(("options", "complaint"), CHANGED.values(), ids=CHANGED.keys())
def test_other_options_do_not_enter_a_complete_or_begun_folder(
    request_seven: Request,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    complaint: str,
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            build(request_seven)
    with pytest.raises(DatasetError) as begun:
        build(replace(request_seven, **options))
    assert f"was begun {complaint}; name another --out" in str(begun.value)
    build(request_seven)
    before = contents(request_seven.out)
    with pytest.raises(DatasetError) as built:
        build(replace(request_seven, **options))
    assert f"was built {complaint}; name another --out" in str(built.value)
    assert contents(request_seven.out) == before
