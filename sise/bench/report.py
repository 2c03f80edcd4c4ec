"""The command `sise bench`: what to measure, and the table or document of it."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from sise import bundle as bundles
from sise import strict_json
from sise.architectures import build_network
from sise.bench.given import rows_as_given
from sise.bench.machine import device_name, meaning_of_memory
from sise.bench.plan import Plan, Row, Skipped, Subject
from sise.bench.rows import Bench, Say, prepare
from sise.bench.sampled import rows_of_scoring
from sise.devices import choose_device
from sise.errors import ImageError, SiseError
from sise.images import read_image

FAILED = 2
_WIDTH_OF_FILES = 160
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Question:
    """Which model and images to measure. Of `bundle` and `architecture` one is given.

    `size` (H, W) is that of the image file or, without one, the bundle's or 256×256.
    """

    bundle: Path | None
    architecture: str | None
    size: Sequence[int] | None
    image: Path | None
    images: int
    device: str


def run(question: Question, plan: Plan, in_json: bool, say: Say) -> int:
    """Measure, print and return the exit code: 2 if a setting or a method could not be run.

    Raises SiseError for what cannot be measured at all.
    """
    plan.specs()  # which complains now, before anything is measured
    bench = prepare(subject_of(question), plan, say)
    found = [*rows_as_given(bench), *rows_of_scoring(bench)]
    rows = [one for one in found if isinstance(one, Row)]
    skipped = [one for one in found if isinstance(one, Skipped)]
    facts = facts_of(bench)
    if in_json:
        content = {"rows": list(map(as_json, rows)), "skipped": list(map(asdict, skipped))}
        print(strict_json.dumps({**facts, **content}, indent=2))
    else:
        show(facts, rows)
    for one in skipped:
        say(f"no row for {one.what}: {one.why}")
    return FAILED if any(one.failed for one in skipped) else 0


def subject_of(question: Question) -> Subject:
    """Load or build the model and the images. Raises SiseError."""
    device = choose_device(question.device)
    if (question.bundle is None) == (question.architecture is None):
        raise SiseError("give either --bundle or --architecture")
    if question.bundle is not None:
        loaded = bundles.load(question.bundle, device)
        card = loaded.card
        name, weights = card.architecture, f"bundle {loaded.sha256}"
        model, usual, colours = loaded.model, card.input_size, (card.mean, card.std)
    else:
        name, weights = str(question.architecture), "random"
        model, usual, colours = _untrained(name).to(device), (256, 256), _IMAGENET
    if question.image is not None:
        one = _pixels(question.image, question.size, colours)
        images = one.repeat(question.images, 1, 1, 1)
    else:
        height, width = usual if question.size is None else question.size
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(question.images, 3, height, width, generator=generator)
    return Subject(name, weights, model, images.to(device))


def facts_of(bench: Bench) -> dict[str, Any]:
    """What to cite with the rows: date, model, machine and versions."""
    subject = bench.subject
    device = subject.images.device
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "model": subject.name,
        "weights": subject.weights,
        "size": list(subject.images.shape[2:]),
        "images": len(subject.images),
        "gflop_per_pass": round(bench.flops / 1e9, 3),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "matrix_tflop_per_s": {
            precision: round(rate / 1e12, 3) for precision, rate in bench.matrix_rates.items()
        },
        "memory": meaning_of_memory(device),
        "versions": bundles.library_versions(),
    }


def as_json(row: Row) -> dict[str, Any]:
    """A row in plain types, rounded to what can be told."""
    return {
        "method": row.method,
        "precision": row.setting.precision,
        "backend": row.setting.backend,
        "compiled": row.setting.compiled,
        "as_given": row.setting.as_given,
        "batch_size": row.batch_size,
        "passes_per_image": round(row.passes, 2),
        "passes_run_per_image": round(row.run, 2),
        "seconds_per_image": _significant(row.seconds),
        "passes_per_second": _significant(row.rate),
        "ratio_to_bare": round(row.ratio, 3),
        "ratio_range": [round(edge, 3) for edge in row.ratio_range],
        "pairs": row.pairs,
        "peak_memory_mib": None if row.peak_memory is None else round(row.peak_memory / 2**20),
        "share_of_matrix_rate": round(row.share, 3),
        "paper_t4_seconds": row.in_paper,
    }


def show(facts: dict[str, Any], rows: Sequence[Row]) -> None:
    """Print the table on stdout, with what it was measured on above and how to read it below."""
    table = Table(
        "method", "run by", "batch", "passes", "run", "s/image", "passes/s", "of bare",
        "min to max", "peak MiB", "of matrix rate", box=None, pad_edge=False,
    )  # fmt: skip
    with_paper = any(row.in_paper is not None for row in rows)
    if with_paper:
        table.add_column("T4 s (paper)")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*_cells(row), *[_in_paper(row)] * with_paper)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_OF_FILES
    console = Console(width=width, highlight=False, markup=False)
    height, wide = facts["size"]
    rates = ", ".join(f"{rate:g} in {word}" for word, rate in facts["matrix_tflop_per_s"].items())
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    console.print(
        f"{facts['model']} (weights: {facts['weights']}), {facts['images']} image(s) of "
        f"{height}×{wide}: {facts['gflop_per_pass']:g} GFLOP per pass\n"
        f"{facts['device']}, {facts['threads']} thread(s); TFLOP/s of a matrix product: {rates}\n"
        f"{facts['date']}; {versions}\n"
    )
    console.print(table)
    console.print(
        "\nof bare: passes per second over bare forward passes per second of the same network, "
        "precision and batch size, timed in turn; median, min to max\n"
        f"peak MiB: {facts['memory']}"
    )
    if any(row.run < row.passes for row in rows):
        console.print(
            "run: how many of the passes were run; s/image, passes/s and of bare are extrapolated "
            "from a short and a long part (--in-full runs all)"
        )
    if with_paper:
        console.print(
            "T4 s (paper): seconds per image in table 7 of the SISE paper, on a Tesla T4: another "
            "machine, other code, VOC images; how many masks its RISE has it does not say there"
        )
    if facts["weights"] == "random":
        console.print("random weights: a trained network selects other masks, and as many or not")


def _cells(row: Row) -> tuple[str, ...]:
    cells = as_json(row)
    low, high = cells["ratio_range"]
    memory = cells["peak_memory_mib"]
    return (
        row.method,
        str(row.setting),
        f"{row.batch_size}",
        f"{cells['passes_per_image']:g}",
        "all" if row.run == row.passes else f"{cells['passes_run_per_image']:g}",
        f"{cells['seconds_per_image']:g}",
        f"{cells['passes_per_second']:g}",
        f"{row.ratio:.3f}",
        f"{low:.3f} to {high:.3f}",
        "unknown" if memory is None else f"{memory}",
        f"{row.share:.0%}",
    )


def _in_paper(row: Row) -> str:
    return "" if row.in_paper is None else f"{row.in_paper:g}"


def _significant(value: float) -> float:
    return float(f"{value:.4g}")


def _untrained(architecture: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_network(architecture, 1000).eval()


def _pixels(
    path: Path, size: Sequence[int] | None, colours: tuple[Sequence[float], Sequence[float]]
) -> torch.Tensor:
    """The image as the model takes it: (1, 3, H, W)."""
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    if size is not None and tuple(size) != (height, width):
        raise ImageError(f"{path}: {height}×{width} px, not {size[0]}×{size[1]}; leave out --size")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in colours)
    scaled = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    return ((scaled - mean) / std)[None]
