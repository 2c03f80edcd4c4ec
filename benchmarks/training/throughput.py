"""How fast crops come, how fast a network learns from them, and how fast both are together.

    python benchmarks/training/throughput.py --data recast --out throughput.json [--compile true]

Three tables. **Loader**: crops a second, decoded anew or mapped, varied or not, without worker
processes and with two; beside the loader that decodes, in this process, without variation.
**Model**: training steps (forward, backward, AdamW) on crops that are on the device already; beside
plain matrix products of the same precision, so that the ratio is the share of their rate. **Both**:
training steps on what the loader brings; beside the same steps on crops that are there.

On a processor all seconds are those that its cores spent for us, workers' too: others may use the
machine. On a GPU they are those on the wall, once the device has finished. Each row is timed in
turn with what it is compared with (`sise.bench.timing`); medians, and the range of the ratio.
"""

import json
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from torch.nn import functional
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from sise.bench.timing import Timing, Work, batches_lasting, in_turn
from sise.bundle import library_versions
from sise.devices import choose_device, device_name
from sise.precision import has_bfloat16
from training.augment import Augmentation, Augmenter
from training.classifier import DefectClassifier
from training.crop_map import CropReader, MapRequest, open_crops
from training.crops import Crops, read_recast
from training.data import Batch, CropDataset, crop_loader
from training.sampling import EpochSampler, SharedBatches

Loader = DataLoader[tuple[torch.Tensor, int]]
Step = Callable[[torch.Tensor, torch.Tensor], None]

STRONG = Augmentation(0.5, 0.5, 0.1, 0.1)
"""The flips, brightness and contrast of the recipe `strong`."""
WORKERS = (0, 2)
MATRIX = {"cpu": 1024, "cuda": 8192}
"""Side of the square matrices that are multiplied."""


@dataclass(frozen=True)
class Row:
    """One line of a table: images a second, and the ratio to what it stands beside."""

    table: str
    what: str
    per_second: float
    ratio: float
    ratio_range: tuple[float, float]


@dataclass(frozen=True)
class Bench:
    """What all rows share. `seconds` is how long one piece of work lasts, about."""

    device: torch.device
    batch: int
    seconds: float
    rounds: int

    def clock(self) -> float:
        """Seconds, as the module says."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            return time.monotonic()
        used = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ended = sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, used))
        return ended + sum(seconds_of(child.pid) for child in multiprocessing.active_children())

    def timed(self, work: Work, bare: Work) -> Timing:
        """`work` in turn with `bare`, which both return what they count."""
        return in_turn([work] * self.rounds, bare, self.clock)

    def lasting(self, one: Callable[[], object]) -> int:
        """How often to do something for a piece of work."""
        return batches_lasting(self.seconds, one, self.clock)


def seconds_of(process: int | None) -> float:
    """Processor seconds of a process that runs, by Linux's count of ticks, of 10 ms most often."""
    fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def main(
    data: Path,
    out: Path | None = None,
    networks: tuple[str, ...] = ("shufflenet_v2_x0_5", "squeezenet1_1", "resnet18"),
    batch: int = 16,
    seconds: float = 2.0,
    rounds: int = 3,
    compile: bool = False,
    threads: int = 1,
    cache_dir: Path | None = None,
) -> None:
    """Measure, print the tables, and write JSON.

    Args:
        data: recast dataset; its training crops are used.
        out: file of the results.
        networks: names of classifiers.
        batch: crops of a training step.
        seconds: about how long a piece of work lasts.
        rounds: pieces of work for each row.
        compile: measure compiled networks, too; compiling takes a minute each.
        threads: of PyTorch, on a processor.
        cache_dir: folder of the mapped crops; null: as for fit.
    """
    torch.set_num_threads(threads)
    device = choose_device("auto")
    bench = Bench(device, batch, seconds, rounds)
    recast = read_recast(data)
    crops = recast.crops("train")
    folder = data / "cache" if cache_dir is None else cache_dir
    mapped = open_crops(MapRequest(crops, "train", recast.sha256, False, folder, 2))
    rows = [
        *loader_rows(bench, crops, mapped),
        *(row for name in networks for row in model_rows(bench, name, crops, mapped, compile)),
    ]
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": platform.machine(),
        "device": device_name(device),
        "threads": threads,
        "seconds": "wall" if device.type == "cuda" else "of the processor",
        "crops": f"{len(crops)} of {'×'.join(map(str, mapped.crop(0).shape[:2]))} px",
        "batch": batch,
        "versions": library_versions(),
    }
    show(facts, rows)
    if out is not None:
        content = facts | {"rows": [asdict(row) for row in rows]}
        out.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")


def show(facts: dict[str, Any], rows: list[Row]) -> None:
    """Print Markdown."""
    print("; ".join(f"{name}: {value}" for name, value in facts.items()))
    for table in dict.fromkeys(row.table for row in rows):
        print(f"\n| {table} | images/s | ratio | range |\n|---|---|---|---|")
        for row in rows:
            if row.table == table:
                low, high = row.ratio_range
                print(f"| {row.what} | {row.per_second:.4g} | {row.ratio:.3g} "
                      f"| {low:.3g} to {high:.3g} |")  # fmt: skip


def dataset(crops: Crops, reader: CropReader | None, augment: Augmentation) -> CropDataset:
    """As `fit` makes it."""
    return CropDataset(crops, Augmenter(augment), reader)


def loader_of(bench: Bench, made: CropDataset, workers: int, batches: int) -> Loader:
    """So many batches each time; its processes, if any, have started."""
    sampler = EpochSampler(made.crops.labels, "none", 0, batches * bench.batch)
    loader = crop_loader(made, bench.batch, workers, SharedBatches(sampler, bench.batch))
    for _ in loader:
        pass
    return loader


def loader_rows(bench: Bench, crops: Crops, mapped: CropReader) -> Iterator[Row]:
    """The loader alone."""

    def work(reader: CropReader | None, augment: Augmentation, workers: int, batches: int) -> Work:
        loader = loader_of(bench, dataset(crops, reader, augment), workers, batches)
        return lambda: sum(len(labels) for _, labels in loader)

    def enough(reader: CropReader | None) -> int:
        return bench.lasting(work(reader, Augmentation(), 0, 1))

    bare = work(None, Augmentation(), 0, enough(None))
    for source, reader in (("decoded", None), ("mapped", mapped)):
        batches = enough(reader)
        for name, augment in (("as they are", Augmentation()), ("varied as in strong", STRONG)):
            for workers in WORKERS:
                timing = bench.timed(work(reader, augment, workers, batches), bare)
                yield row_of("loader", f"{source}, {name}, {workers} workers", timing)


@dataclass(frozen=True)
class Setting:
    """How a network computes."""

    bf16: bool
    channels_last: bool
    compiled: bool = False

    def __str__(self) -> str:
        words = ["bf16" if self.bf16 else "fp32"]
        return ", ".join(
            words + ["channels last"] * self.channels_last + ["compiled"] * self.compiled
        )

    @property
    def dtype(self) -> torch.dtype:
        """Of the products."""
        return torch.bfloat16 if self.bf16 else torch.float32


def model_rows(
    bench: Bench, name: str, crops: Crops, mapped: CropReader, compile: bool
) -> Iterator[Row]:
    """The model alone in each setting, then both in the one that `fit` would take."""
    settings = [Setting(bf16, last) for bf16 in (False, True) for last in (False, True)]
    settings += [Setting(bf16, True, True) for bf16 in (False, True)] if compile else []
    loader = crop_loader(dataset(crops, mapped, STRONG), bench.batch, 0)
    there, labels = (tensor.to(bench.device) for tensor in next(iter(loader)))
    classes = int(crops.labels.max()) + 1
    plain = training_step(name, settings[0], bench.device, classes)
    flops = flops_of(plain, there, labels) / len(labels)
    for setting in settings:
        step = training_step(name, setting, bench.device, classes)
        steps = bench.lasting(lambda step=step: step(there, labels))

        def work(step: Step = step, steps: int = steps) -> int:
            for _ in range(steps):
                step(there, labels)
            return round(steps * len(labels) * flops)

        work()
        timing = bench.timed(work, products(bench, setting.dtype))
        yield row_of("model, beside matrix products", f"{name}, {setting}", timing, flops)
    step = training_step(name, Setting(has_bfloat16(bench.device), True), bench.device, classes)
    steps = bench.lasting(lambda: step(there, labels))
    for source, reader in (("decoded", None), ("mapped", mapped)):
        made = dataset(crops, reader, STRONG)
        for workers in WORKERS:
            timing = both(bench, step, made, workers, steps, (there, labels))
            yield row_of("both, beside the model", f"{name}, {source}, {workers} workers", timing)


def both(
    bench: Bench, step: Step, made: CropDataset, workers: int, steps: int, there: Batch
) -> Timing:
    """Steps on what the loader brings, in turn with as many on a batch that is there."""

    def bare() -> int:
        for _ in range(steps):
            step(*there)
        return steps * bench.batch

    loader = loader_of(bench, made, workers, steps)

    def work() -> int:
        for batch in loader:
            step(*(tensor.to(bench.device, non_blocking=True) for tensor in batch))
        return steps * bench.batch

    return bench.timed(work, bare)


def training_step(name: str, setting: Setting, device: torch.device, classes: int) -> Step:
    """One step of AdamW, as a function of a batch on the device."""
    model = DefectClassifier(name, num_classes=classes).to(device).train()
    if not setting.channels_last:
        model.network.to(memory_format=torch.contiguous_format)
        model.network.register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    forward = torch.compile(model) if setting.compiled else model

    def autocast() -> AbstractContextManager[None]:
        return torch.autocast(device.type, torch.bfloat16, setting.bf16)

    def step(crops: torch.Tensor, labels: torch.Tensor) -> None:
        with autocast():
            logits = forward(crops)
        functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def flops_of(step: Step, crops: torch.Tensor, labels: torch.Tensor) -> int:
    """Floating-point operations of one step, of convolutions and matrix products, both passes."""
    with FlopCounterMode(display=False) as counter:
        step(crops, labels)
    return counter.get_total_flops()


def products(bench: Bench, dtype: torch.dtype) -> Work:
    """Matrix products, counted in floating-point operations."""
    side = MATRIX[bench.device.type]
    one, two = (torch.randn(side, side, device=bench.device, dtype=dtype) for _ in range(2))
    times = bench.lasting(lambda: one @ two)

    def work() -> int:
        for _ in range(times):
            one @ two
        return times * 2 * side**3

    return work


def row_of(table: str, what: str, timing: Timing, count_of_image: float = 1.0) -> Row:
    """A row; `count_of_image` is how much of what was counted is one image."""
    return Row(table, what, timing.rate / count_of_image, timing.ratio, timing.ratio_range)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
