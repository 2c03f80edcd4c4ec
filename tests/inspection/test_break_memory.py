"""Memory that runs out on the device, at each pass: smaller batches, and the same report."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from breaking import assert_whole, contents, stop_clock, write_batch
from toys import BrightAndBlack

from inspection.pipeline.run import Finished
from severstal_prep.failures import in_words
from sise.errors import SiseError

Inspect = Callable[..., Finished]


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stop_clock(monkeypatch)
    return write_batch(tmp_path / "партия 7")


def short_of_memory(
    monkeypatch: pytest.MonkeyPatch, at: int = 0, largest: int = 2**30
) -> list[int]:
    """Let the pass `at`, from 1, and every pass of more than `largest` images run out of memory;
    the sizes of all passes."""
    forward, passes = BrightAndBlack.forward, list[int]()

    def short(self: BrightAndBlack, images: torch.Tensor) -> torch.Tensor:
        passes.append(len(images))
        if len(passes) == at or len(images) > largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, images)

    monkeypatch.setattr(BrightAndBlack, "forward", short)
    return passes


def test_out_of_memory_at_each_pass(
    batch: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        passes = short_of_memory(patch)
        inspect_toy(batch, batch.parent / "unbroken")
    expected = contents(batch.parent / "unbroken")
    assert len(passes) > 2
    for at in range(1, len(passes) + 1):
        out = batch.parent / f"out-{at}"
        with monkeypatch.context() as patch:
            short_of_memory(patch, at)
            inspect_toy(batch, out)
        assert_whole(out, expected, batch)


def test_a_device_that_takes_two_images_at_once(
    batch: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect_toy(batch, batch.parent / "unbroken")
    out = batch.parent / "out"
    passes = short_of_memory(monkeypatch, largest=2)
    inspect_toy(batch, out)
    assert max(passes) > 2, "it was tried"
    assert_whole(out, contents(batch.parent / "unbroken"), batch)


def test_a_device_that_takes_nothing_is_one_line_and_the_report_goes_on_elsewhere(
    batch: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect_toy(batch, batch.parent / "unbroken")
    out = batch.parent / "out"
    with monkeypatch.context() as patch:
        short_of_memory(patch, largest=0)
        with pytest.raises((SiseError, torch.OutOfMemoryError)) as told:
            inspect_toy(batch, out)
    said = str(told.value) if isinstance(told.value, SiseError) else str(in_words(told.value))
    assert said.startswith("out of memory")
    assert not (out / "batch.json").exists()
    inspect_toy(batch, out)
    assert_whole(out, contents(batch.parent / "unbroken"), batch)
