"""The command `sise bench`: what to measure, and the table or document of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import nn

from sise import bundle as bundles
from sise import strict_json
from sise.architectures import build_network, imagenet_colours
from sise.bench.measure import Row, Say, Skipped, Subject, measure
from sise.devices import device_name
from sise.errors import ImageError, SiseError
from sise.images import read_image
from sise.progress import table_console
from sise.registry import MethodSpec

FAILED = 2


def run(
    subject: Subject,
    specs: Sequence[MethodSpec],
    shared: Mapping[str, Any],
    repeats: int,
    in_json: bool,
    say: Say,
) -> int:
    """Measure, print and return the exit code: 2 if a setting or a method could not be run.

    `shared` are options of all methods: precision, batch_size, backend, compile, output.
    """
    outcomes = list(measure(subject, specs, shared, repeats, say))
    rows = [one for one in outcomes if isinstance(one, Row)]
    skipped = [one for one in outcomes if isinstance(one, Skipped)]
    facts = facts_of(subject)
    if in_json:
        content = {"rows": list(map(as_json, rows)), "skipped": list(map(asdict, skipped))}
        print(strict_json.dumps({**facts, **content}, indent=2))
    else:
        show(facts, rows)
    for one in skipped:
        say(f"no row for {one.what}: {one.why}")
    return FAILED if skipped else 0


def subject_of(
    bundle: Path | None,
    architecture: str | None,
    size: Sequence[int] | None,
    image: Path | None,
    count: int,
    device: torch.device,
) -> Subject:
    """The bundle's model, or the architecture with random weights, and `count` images for it.

    `size` (H, W) is that of the image file or, without one, the bundle's or 256×256. Raises
    SiseError, also unless one of the first two is given.
    """
    if (bundle is None) == (architecture is None):
        raise SiseError("give either --bundle or --architecture")
    if bundle is not None:
        loaded = bundles.load(bundle, device)
        card = loaded.card
        name, weights = card.architecture, f"bundle {loaded.sha256}"
        model, usual, colours = loaded.model, card.input_size, (card.mean, card.std)
    else:
        name, weights = str(architecture), "random"
        model, usual, colours = _untrained(name).to(device), (256, 256), imagenet_colours(name)
    if image is not None:
        images = _pixels(image, size, colours).repeat(count, 1, 1, 1)
    else:
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(count, 3, *(size or usual), generator=generator)
    return Subject(name, weights, model, images.to(device))


def facts_of(subject: Subject) -> dict[str, Any]:
    """What to cite with the rows: date, model, machine and versions."""
    device = subject.images.device
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "model": subject.name,
        "weights": subject.weights,
        "size": list(subject.images.shape[2:]),
        "images": len(subject.images),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "versions": bundles.library_versions(),
    }


def as_json(row: Row) -> dict[str, Any]:
    """A row in plain types, rounded to what can be told."""
    return {
        "method": row.method,
        "precision": row.setting.engine.precision,
        "backend": row.setting.engine.backend,
        "compiled": row.setting.engine.compile,
        "as_given": row.setting.as_given,
        "batch_size": row.batch_size,
        "passes_per_image": round(row.passes, 2),
        "seconds_per_image": _significant(row.seconds),
        "passes_per_second": _significant(row.timing.rate),
        "ratio_to_bare": round(row.timing.ratio, 3),
        "ratio_range": [round(edge, 3) for edge in row.timing.ratio_range],
        "pairs": len(row.timing.pairs),
        "paper_t4_seconds": row.in_paper,
    }


def show(facts: dict[str, Any], rows: Sequence[Row]) -> None:
    """Print the table on stdout, with what it was measured on above and how to read it below."""
    table = Table(
        "method", "run by", "batch", "passes", "s/image", "passes/s", "of bare", "min to max",
        box=None, pad_edge=False,
    )  # fmt: skip
    with_paper = any(row.in_paper is not None for row in rows)
    if with_paper:
        table.add_column("T4 s (paper)")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        in_paper = "" if row.in_paper is None else f"{row.in_paper:g}"
        table.add_row(*_cells(row), *[in_paper] * with_paper)
    console = table_console()
    height, wide = facts["size"]
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    console.print(
        f"{facts['model']} (weights: {facts['weights']}), {facts['images']} image(s) of "
        f"{height}×{wide}\n{facts['device']}, {facts['threads']} thread(s)\n"
        f"{facts['date']}; {versions}\n"
    )
    console.print(table)
    console.print(
        "\nof bare: passes per second over bare forward passes per second of the same network, "
        "precision and batch size, timed in turn; median, min to max"
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
    return (
        row.method,
        str(row.setting),
        f"{row.batch_size}",
        f"{cells['passes_per_image']:g}",
        f"{cells['seconds_per_image']:g}",
        f"{cells['passes_per_second']:g}",
        f"{row.timing.ratio:.3f}",
        f"{low:.3f} to {high:.3f}",
    )


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
