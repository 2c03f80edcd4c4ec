"""Strips to patches, and patches to calibrated probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

import sise.bundle
from inspection.errors import ModelError
from inspection.pipeline.judged import WHITE_LEVEL
from inspection.pipeline.policy import NORMAL, probability_column
from inspection.pipeline.settings import BackendName, DeviceName, PrecisionName
from inspection.pipeline.strips import ReadStrip
from severstal_prep.files import file_sha256
from severstal_prep.images import to_grey
from severstal_prep.recast import BLACK_LEVEL
from sise.backends import Backend, Network, scoring_network
from sise.batches import BatchSize
from sise.bundle import ModelBundle, ModelCard
from sise.devices import choose_device, device_name
from sise.precision import resolve
from sise.tiling import tile_lefts

PATCH_COLUMNS = [
    "strip_sha256",
    "width",
    "height",
    "left",
    "top",
    "size",
    "black_fraction",
    "white_fraction",
]

_BATCH_SIZES = {"cpu": 8, "cuda": 64}


@dataclass(frozen=True)
class Model:
    """What a run says of its classifier: the bundle's `card` and SHA-256, and how it runs, with
    nothing left "auto". `device` is "cpu" or "cuda", `device_name` what the machine calls it."""

    card: ModelCard
    sha256: str
    device: str
    device_name: str
    precision: Literal["fp32", "bf16"]
    batch_size: int
    backend: Backend

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs; one is "normal"."""
        return self.card.classes

    @property
    def patch(self) -> int:
        """Side of a patch in px: the model's input."""
        return self.card.input_size[0]


@dataclass(frozen=True)
class Classifier:
    """A bundle's model on its device, and the network that answers for it.

    `network` is made of the model by `backend` in `precision`; it classifies patches, and scores
    them masked.
    """

    bundle: ModelBundle
    device: torch.device
    precision: Literal["fp32", "bf16"]
    batch_size: int
    backend: Backend
    network: Network

    @property
    def model(self) -> Model:
        """What is said of it."""
        return Model(
            card=self.bundle.card,
            sha256=self.bundle.sha256,
            device=self.device.type,
            device_name=device_name(self.device),
            precision=self.precision,
            batch_size=self.batch_size,
            backend=self.backend,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs; one is "normal"."""
        return self.bundle.card.classes

    @property
    def patch(self) -> int:
        """Side of a patch in px: the model's input."""
        return self.bundle.card.input_size[0]


def describe_model(
    folder: Path,
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
    batch_size: int | Literal["auto"] = "auto",
    backend: BackendName = "auto",
) -> Model:
    """What a bundle will be on this machine, without its weights.

    "auto" means: the GPU if there is one; bfloat16 where the hardware multiplies it; see
    `resolve_backend`. Raises sise.errors.BundleError for a missing or damaged card, ModelError
    for a model of other classes or input size, SiseError for a GPU that is not there.
    """
    card = sise.bundle.read_card(folder)
    if NORMAL not in card.classes:
        raise ModelError(
            f"{folder}: its classes are {', '.join(card.classes)}; inspection needs a model with a "
            f"class {NORMAL!r}, trained on crops without a defect"
        )
    if len(card.classes) < 2:
        raise ModelError(f"{folder}: the model has no defect class")
    columns = dict[str, str]()
    for name in card.classes:
        other = columns.setdefault(probability_column(name), name)
        if other != name:
            raise ModelError(
                f"{folder}: its classes {other!r} and {name!r} would share the column "
                f"{probability_column(name)}; give one another name"
            )
    height, width = card.input_size
    if height != width:
        raise ModelError(f"{folder}: made for images of {width}×{height} px; patches are squares")
    place = choose_device(device)
    dtype = resolve(precision, place)
    return Model(
        card=card,
        sha256=file_sha256(folder / sise.bundle.CARD_NAME),
        device=place.type,
        device_name=device_name(place),
        precision="bf16" if dtype == torch.bfloat16 else "fp32",
        batch_size=_BATCH_SIZES[place.type] if batch_size == "auto" else batch_size,
        backend=resolve_backend(backend, place),
    )


def load_classifier(
    folder: Path,
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
    batch_size: int | Literal["auto"] = "auto",
    backend: BackendName = "auto",
) -> Classifier:
    """Load a bundle for inspection, as `describe_model` says.

    Raises also BundleError for damaged weights, ModelError if the bundle changed meanwhile,
    SiseError for a backend that is not installed or computes elsewhere.
    """
    model = describe_model(folder, device, precision, batch_size, backend)
    return load_described(folder, model)


def load_described(folder: Path, model: Model) -> Classifier:
    """Load the bundle that `model` describes. Raises as `load_classifier`."""
    place = choose_device(model.device)
    bundle = sise.bundle.load(folder, place)
    if bundle.sha256 != model.sha256:
        raise ModelError(f"{folder}: the bundle changed since the run began; run again")
    dtype = resolve(model.precision, place)
    return Classifier(
        bundle=bundle,
        device=place,
        precision=model.precision,
        batch_size=model.batch_size,
        backend=model.backend,
        network=scoring_network(bundle.model, place, dtype, model.backend, compiled=False),
    )


def resolve_backend(name: BackendName, device: torch.device) -> Backend:
    """What "auto" means: OpenVINO on a processor, if it is installed; PyTorch otherwise."""
    if name != "auto":
        return name
    return "openvino" if device.type == "cpu" and find_spec("openvino") else "torch"


class StripClassifier:
    """Stage "classify": strips to patches, and patches to probabilities.

    Patches cover each strip completely, in rows every `stride` px where it is higher than one.
    """

    def __init__(self, classifier: Classifier, stride: int) -> None:
        self.classifier = classifier
        self.stride = stride
        self._size = BatchSize(classifier.batch_size)

    def __call__(self, strips: Sequence[ReadStrip]) -> pd.DataFrame:
        """A row per patch of the strips that have pixels, in order.

        Columns: strip_sha256, width and height of the strip, left, top, size (px),
        black_fraction and white_fraction (shares of pixels too dark and too bright for steel),
        and a probability per class (see `probability_column`), NaN where the model's answer is
        not finite.
        """
        classifier = self.classifier
        patches: list[tuple[str | int | float, ...]] = []
        tiles: list[npt.NDArray[np.uint8]] = []
        for strip in strips:
            if strip.pixels is None:
                continue
            height, width = strip.pixels.shape[:2]
            for left, top, tile in self._tiles(strip.pixels):
                grey = to_grey(tile)
                tiles.append(tile)
                patches.append(
                    (
                        strip.file.sha256,
                        width,
                        height,
                        left,
                        top,
                        classifier.patch,
                        float((grey < BLACK_LEVEL).mean()),
                        float((grey >= WHITE_LEVEL).mean()),
                    )
                )
        by_class = zip(
            classifier.classes, probabilities(tiles, classifier, self._size).T, strict=True
        )
        columns = {probability_column(name): column for name, column in by_class}
        return pd.DataFrame(patches, columns=PATCH_COLUMNS).assign(**columns)

    def _tiles(
        self, pixels: npt.NDArray[np.uint8]
    ) -> Iterator[tuple[int, int, npt.NDArray[np.uint8]]]:
        side = self.classifier.patch
        tops, lefts = (tile_lefts(length, side, self.stride) for length in pixels.shape[:2])
        for top, left in product(tops, lefts):
            yield left, top, pixels[top : top + side, left : left + side]


def probabilities(
    tiles: Sequence[npt.NDArray[np.uint8]], classifier: Classifier, size: BatchSize | None = None
) -> npt.NDArray[np.float32]:
    """Class probabilities (N, classes) of tiles (H, W, 3) uint8, in batches of one `size`, the
    classifier's unless given.

    The last batch is filled up, so that a tile's probabilities do not depend on how many
    others come with it: an interrupted run that continues gives the same bits. Logits that are not
    all finite give NaN. Out of memory, batches are halved; raises SiseError where one tile is too
    much.
    """
    answers = np.empty((len(tiles), len(classifier.classes)), np.float32)
    size = BatchSize(classifier.batch_size) if size is None else size

    def answer(start: int, stop: int) -> None:
        batch = tiles[start:stop]
        filled = np.stack([*batch, *[np.zeros_like(batch[0])] * (size.value - len(batch))])
        inputs = classifier.bundle.preprocess(filled).to(classifier.device)
        with torch.inference_mode():
            logits = classifier.network.forward(inputs)[: len(batch)].float()
        answered = logits.isfinite().all(dim=1, keepdim=True)
        found = logits.softmax(dim=1).where(answered, torch.nan)
        answers[start:stop] = found.cpu().numpy()

    size.run(len(tiles), answer)
    return answers
