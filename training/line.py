"""`defect-train export --format onnx|openvino`: a bundle as one file for the line.

The file is held against PyTorch before it is written to its folder. With a dataset this is done on
its validation crops; int8 is calibrated on training crops, and what it costs is measured on the
validation split.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from severstal_prep.images import read_image
from sise import bundle
from sise.bundle import ModelBundle, file_sha256, library_versions
from sise.graphs import first_line
from sise.outputs import check_apart, check_folder, claim, holds
from sise.progress import track
from training.calibration import Labels
from training.crops import CheckedDataset, Crops, check_classes, read_recast
from training.data import CropDataset, crop_loader
from training.errors import DataError, TrainingError
from training.evaluate import Evaluation, evaluate
from training.line_formats import FORMATS, INPUT, OUTPUT, Kind, LineFormat, all_files
from training.line_model import (
    TOLERANCE,
    Agreement,
    Answer,
    Images,
    LineModel,
    Probabilities,
    by_pytorch,
    compare,
    generated,
    limits_of,
)
from training.line_readme import readme
from training.resources import memory_explained

FORMAT = "steel-sise line model 1"
EXPORT_NAME = "export.json"
README_NAME = "README.md"
BUNDLE_NAME = "bundle"
CALIBRATION_CROPS = 300

Batch = tuple[Images, Labels | None]


@dataclass(frozen=True)
class Line:
    """What is exported, and on what it is checked: `recast` None for generated images.

    `batch_size` and `num_workers` as for `training.data.crop_loader`.
    """

    source: ModelBundle
    kind: Kind
    int8: bool
    recast: CheckedDataset | None
    batch_size: int
    num_workers: int | None

    @property
    def format(self) -> LineFormat:
        """How the file is written and run."""
        return FORMATS[self.kind]

    @property
    def limits(self) -> Probabilities:
        """Thresholds (C,), inf for classes without one."""
        return limits_of(self.source.card.classes, self.source.card.thresholds)

    def batches(self) -> Iterator[Batch]:
        """Images (B, H, W, 3) to check on, and class ids (B,) if they are known."""
        size = self.source.card.input_size
        if self.recast is None:
            images = generated(size)
            yield from ((images[:1], None), (images[1:], None))
            return
        crops = self.recast.crops("val")
        loader = crop_loader(CropDataset(crops), self.batch_size, self.num_workers)
        for images, labels in track(loader, len(loader), "check on validation crops"):
            if images.shape[1:3] != size:
                raise DataError(
                    f"{self.recast.root}: crops of {images.shape[2]}×{images.shape[1]} px, but the "
                    f"bundle takes {size[1]}×{size[0]}; give the dataset that it was trained on"
                )
            yield images.numpy(), labels.numpy()


def check_line(
    out: Path, kind: Kind, int8: bool, root: Path | None, inputs: Iterable[Path]
) -> None:
    """What can be said before any work.

    Raises TrainingError for a missing library, and for int8 without data; OutputError if `out` is
    not ours, or one of the `inputs` or in them.
    """
    FORMATS[kind].check_installed(int8)
    if int8 and root is None:
        raise TrainingError(
            "--int8 needs --data.root: crops to calibrate on, and to measure what int8 costs"
        )
    check_apart(out, inputs)
    check_folder(out, _ours)


def _ours(folder: Path) -> bool:
    return holds(folder / EXPORT_NAME, format=FORMAT)


def export_line(
    folder: Path,
    out: Path,
    kind: Kind,
    root: Path | None = None,
    int8: bool = False,
    batch_size: int = 64,
    num_workers: int | None = None,
    keep_bundle: bool = False,
) -> dict[str, Any]:
    """Write the bundle in `folder` as a file of `kind` to `out`; the content of its export.json.

    `keep_bundle`: a copy of the bundle goes to `out`, too. Raises as `check_line`; TrainingError
    for a network that cannot be exported, and if the file answers otherwise than PyTorch;
    BundleError, DatasetError and DataError for inputs. What was in `out` stays as it is then.
    """
    inputs = [folder] if root is None else [folder, root]
    check_line(out, kind, int8, root, inputs)
    source = bundle.load(folder)
    recast = None
    if root is not None:
        recast = read_recast(root)
        check_classes(folder, source.card.classes, recast)
    line = Line(source, kind, int8, recast, batch_size, num_workers)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        partial = Path(temporary)
        with memory_explained("--batch-size", "--num-workers"):
            card = _write(line, partial)
        text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (partial / EXPORT_NAME).write_text(text, "utf-8")
        (partial / README_NAME).write_text(readme(card), "utf-8")
        if keep_bundle:
            shutil.copytree(folder, partial / BUNDLE_NAME)
        claim(out, _ours, inputs, "export", {})
        _move(partial, out)
    return card


def _write(line: Line, folder: Path) -> dict[str, Any]:
    """Write and check the files; the content of export.json."""
    form, source = line.format, line.source
    model = LineModel(source)
    try:
        form.write(model, source.card.input_size, folder / form.file)
        answers = [by_pytorch(model), form.load(folder / form.file)]
    except Exception as error:  # exporters raise what they find
        if isinstance(error, (OSError, MemoryError)):
            raise
        other = next(kind for kind in FORMATS if kind != line.kind)
        raise TrainingError(
            f"{source.card.architecture} cannot be written as {line.kind} ({first_line(error)}); "
            f"try --format {other}"
        ) from error
    if line.int8 and line.recast is not None:
        images, count = _calibration(line.recast.crops("train"))
        _quantise(line, folder, images)
        answers.append(form.load(folder / form.int8_file))
    (pytorch, found, *others), labels = _answers(line, answers)
    agreement = compare(pytorch, found, line.limits)
    _check(agreement, line)
    card = _card(line, agreement, folder)
    if others and labels is not None:
        card["int8"] = {
            "file": form.int8_file,
            "calibrated_on": count,
            **_agreement(compare(pytorch, others[0], line.limits)),
            "before": _results(found, labels, line),
            "after": _results(others[0], labels, line),
        }
    return card


def _quantise(line: Line, folder: Path, images: Images) -> None:
    form = line.format
    try:
        form.quantise(folder / form.file, folder / form.int8_file, images)
    except Exception as error:  # as above
        if isinstance(error, (OSError, MemoryError)):
            raise
        raise TrainingError(
            f"{line.source.card.architecture} cannot be written in int8 ({first_line(error)}); "
            "leave out --int8"
        ) from error


def _calibration(crops: Crops) -> tuple[Images, int]:
    """Every n-th training crop, at most CALIBRATION_CROPS, and how many these are."""
    step = -(-len(crops) // CALIBRATION_CROPS)
    images = np.stack([read_image(path) for path in crops.paths[::step]])
    return images, len(images)


def _answers(line: Line, answers: Iterable[Answer]) -> tuple[list[Probabilities], Labels | None]:
    """What each answers to all images (N, C), and the class ids (N,) if they are known."""
    found, labels = [], []
    for images, class_ids in line.batches():
        found.append([answer(images) for answer in answers])
        labels.append(class_ids)
    known = [ids for ids in labels if ids is not None]
    return [np.concatenate(parts) for parts in zip(*found, strict=True)], (
        np.concatenate(known) if known else None
    )


def _check(agreement: Agreement, line: Line) -> None:
    if not agreement.same:
        raise TrainingError(
            f"{line.kind} answers otherwise than PyTorch on {agreement.images} {_images(line)}: "
            f"probabilities differ by up to {agreement.largest_difference:.2g}, allowed are "
            f"{TOLERANCE:g}, and {agreement.other_decisions} decisions; nothing is written"
        )


def _images(line: Line) -> str:
    return "generated images" if line.recast is None else "validation crops"


def _agreement(agreement: Agreement) -> dict[str, Any]:
    found = agreement.as_dict()
    del found["clear_decisions"]
    return found


def _results(probabilities: Probabilities, labels: Labels, line: Line) -> dict[str, Any]:
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30))
    found: Evaluation = evaluate(logits, labels, line.source.card.classes)
    return {
        "top1": found.top1,
        "macro_recall": found.macro_recall,
        "recall": {result.name: result.recall for result in found.classes},
        "ece": found.ece,
    }


def _card(line: Line, agreement: Agreement, folder: Path) -> dict[str, Any]:
    card, form = line.source.card, line.format
    libraries = (*form.libraries, *(form.int8_libraries if line.int8 else ()))
    return {
        "format": FORMAT,
        "kind": line.kind,
        "file": form.file,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": {
            "bundle_sha256": line.source.sha256,
            "weights_sha256": card.weights_sha256,
            "architecture": card.architecture,
            "temperature": card.temperature,
        },
        "input": {
            "name": INPUT,
            "shape": ["batch", *card.input_size, 3],
            "dtype": "uint8",
            "values": "RGB, 0 to 255; grey as three equal channels",
        },
        "output": {
            "name": OUTPUT,
            "shape": ["batch", len(card.classes)],
            "dtype": "float32",
            "values": "calibrated probabilities",
        },
        "classes": list(card.classes),
        "thresholds": dict(card.thresholds),
        "check": {
            "on": _images(line),
            "dataset_card_sha256": None if line.recast is None else line.recast.sha256,
            "tolerance": TOLERANCE,
            **_agreement(agreement),
        },
        "versions": library_versions() | {name: version(name) for name in libraries},
        "files": {
            name: {
                "sha256": file_sha256(folder / name),
                "bytes": (folder / name).stat().st_size,
            }
            for name in form.files(line.int8)
        },
    }


def _move(partial: Path, out: Path) -> None:
    """Put the files into `out`: the card goes first and comes last, and what is old goes."""
    (out / EXPORT_NAME).unlink(missing_ok=True)
    if (partial / BUNDLE_NAME).is_dir():
        (out / BUNDLE_NAME).mkdir(exist_ok=True)
        for file in (partial / BUNDLE_NAME).iterdir():
            file.replace(out / BUNDLE_NAME / file.name)
    for name in (*all_files(), README_NAME, EXPORT_NAME):
        if (partial / name).exists():
            (partial / name).replace(out / name)
        else:
            (out / name).unlink(missing_ok=True)


def summary(card: dict[str, Any]) -> Iterator[str]:
    """Lines for the terminal."""
    check = card["check"]
    yield (
        f"{card['kind']}: {check['images']} {check['on']}, probabilities within "
        f"{check['largest_difference']:.1g} of PyTorch's, {check['other_decisions']} other "
        "decisions"
    )
    if "int8" in card:
        int8 = card["int8"]
        before, after = int8["before"], int8["after"]
        yield (
            f"int8: top-1 {before['top1']:.3f} -> {after['top1']:.3f}, macro recall "
            f"{before['macro_recall']:.3f} -> {after['macro_recall']:.3f}, "
            f"{int8['other_decisions']} other decisions"
        )
