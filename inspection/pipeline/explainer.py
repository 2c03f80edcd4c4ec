"""Patches to explanation maps, and maps to how far they can be trusted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from skimage.filters import threshold_otsu

from inspection.pipeline.classifier import Classifier
from inspection.pipeline.features import make_features
from inspection.pipeline.outlines import svg_path
from inspection.pipeline.settings import SiseOptions
from inspection.quality.gradcam_agreement import agreements, make_gradcam
from sise.baselines import Masker
from sise.batches import BatchSize, auto_batch_size, is_out_of_memory
from sise.budget import Budget
from sise.choices import FillName
from sise.errors import SiseError
from sise.explainer import SISE
from sise.explanation import OK, Explainer
from sise.metrics import KEPT_SHARE, drop, top_share
from sise.overlay import to_grey
from sise.presets import MU
from sise.sampling import MaskScorer, MaskSet


def make_explainer(
    classifier: Classifier, options: SiseOptions, batch_size: int | Literal["auto"]
) -> SISE:
    """SISE on the classifier's model, scored by its network; `batch_size` counts masked images.

    What it makes of an image does not depend on others: see `Engine.keep_images_apart`.
    """
    explainer = SISE(
        classifier.bundle.model,
        mu=MU,
        fusion=options.fusion,
        budget=options.budget,
        fill=options.fill,
        context=options.context,
        evidence=options.evidence,
        precision=classifier.precision,
        backend=classifier.backend,
        batch_size=batch_size,
    )
    explainer.engine.score_by(classifier.network, classifier.device)
    explainer.engine.keep_images_apart()
    return explainer


@dataclass(frozen=True, eq=False)
class PatchTask:
    """A patch of the model's input size, and what it is to be explained for.

    `pixels` (H, W, 3) uint8. `target` and `runner_up` are class names; "" asks for no such map,
    because it is not wanted or already there.
    """

    pixels: npt.NDArray[np.uint8]
    target: str
    runner_up: str = ""


@dataclass(frozen=True, eq=False)
class PatchEvidence:
    """What came of a `PatchTask`.

    `heat` (H, W) uint8 is the target's map as it is kept, 1 being 255; zeros where `map_status` is
    not "ok". `forwards` passes were spent on it.

    `whole_score`, `kept_score`, `removed_score`: the target's probability on the whole patch,
    on the top 15 % of the map alone, and on the rest alone; the other pixels become the fill
    (see `settings.SiseOptions`). `drop` is the paper's Drop of this one patch (see
    `sise.metrics.drop`). `region_area` (px) and region_left, _top, _width, _height
    (px inside the patch, the bounding box) describe where the map exceeds its Otsu threshold,
    `region_contour` its outlines (see `outlines.svg_path`). `agreement` is Pearson's correlation
    with the second method's map of the target. NaN and "" without a map. `features` are those of
    `features.make_features`, float16.

    `runner_up_heat`, `_status` and `_forwards` are those of the runner-up's map. What was not asked
    for is None, "", 0 and NaN.
    """

    heat: npt.NDArray[np.uint8] | None = None
    map_status: str = ""
    forwards: int = 0
    whole_score: float = math.nan
    kept_score: float = math.nan
    removed_score: float = math.nan
    drop: float = math.nan
    region_area: float = math.nan
    region_left: float = math.nan
    region_top: float = math.nan
    region_width: float = math.nan
    region_height: float = math.nan
    region_contour: str = ""
    agreement: float = math.nan
    features: bytes | None = None
    runner_up_heat: npt.NDArray[np.uint8] | None = None
    runner_up_status: str = ""
    runner_up_forwards: int = 0


_OTHERS = ("heat", "runner_up_heat", "runner_up_status", "runner_up_forwards")
EVIDENCE_COLUMNS = tuple(field.name for field in fields(PatchEvidence) if field.name not in _OTHERS)
"""What is kept of the target's map, beside the map."""


@dataclass(frozen=True, eq=False)
class _Map:
    """One map of the patch at `place`: `values` (H, W) float32 in [0, 1]."""

    place: int
    target: int
    values: npt.NDArray[np.float32]
    status: str
    forwards: int


class PatchExplainer:
    """Explains many patches at once: `explainer(tasks)` are their evidences, in order.

    The masks of all share batches, and so do second method and measuring passes. What comes of a
    patch does not depend on its neighbours, nor on their order and number: on a processor in
    float32 it is the same bit for bit, by either backend. In bfloat16 and on a GPU it is the same
    but for rounding: scores differ by less than 0.01, and maps correlate by more than 0.99 (tested
    on a processor that batches as a GPU does). It is made once, and is not for several threads at a
    time.

    However many tasks it is given, memory holds the feature maps of a few patches. Out of memory,
    it works in smaller batches and on fewer patches, which may change the last bits. Raises
    SiseError if not even one patch fits.
    """

    def __init__(
        self,
        classifier: Classifier,
        options: SiseOptions,
        batch_size: int | Literal["auto"] = "auto",
    ) -> None:
        """`batch_size` counts masked images; "auto" suits the device."""
        self._classifier = classifier
        self._fill: FillName = options.fill
        self._budget = options.budget
        side, device = classifier.patch, classifier.device
        self._batch_size = (
            auto_batch_size((side, side), device) if batch_size == "auto" else batch_size
        )
        self._sise: Explainer = make_explainer(classifier, options, self._batch_size)
        self._second = make_gradcam(classifier, self._batch_size)
        self._features = make_features(classifier, self._batch_size // 8)

    @property
    def patches_at_once(self) -> int:
        """How many patches make good use of a call: by their masks, several full batches."""
        return patches_at_once(self._budget, self._batch_size)

    def __call__(self, tasks: Sequence[PatchTask]) -> list[PatchEvidence]:
        """The evidence of each task. See the class for what it depends on, and what it raises."""
        at_once = max(_FEWEST, self.patches_at_once)
        shares = (tasks[start : start + at_once] for start in range(0, len(tasks), at_once))
        return [one for share in shares for one in self._explain_halving_on_oom(share)]

    def _explain_halving_on_oom(self, tasks: Sequence[PatchTask]) -> list[PatchEvidence]:
        try:
            return self._explain(tasks)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(tasks) == 1:
                raise SiseError(
                    "out of memory with one patch; use a smaller network, a smaller --batch-size "
                    "or another device"
                ) from error
        # Only here, when the error and all that it holds are gone, is there memory again.
        half = len(tasks) // 2
        halves = tasks[:half], tasks[half:]
        return [one for share in halves for one in self._explain_halving_on_oom(share)]

    def _explain(self, tasks: Sequence[PatchTask]) -> list[PatchEvidence]:
        # Stacking copies: decoded images are read-only, which PyTorch warns of.
        pixels = np.stack([task.pixels for task in tasks])
        images = self._classifier.bundle.preprocess(pixels).to(self._classifier.device)
        asked = [(place, task.target) for place, task in enumerate(tasks) if task.target]
        second = [(place, task.runner_up) for place, task in enumerate(tasks) if task.runner_up]
        maps = self._maps(images, [*asked, *second])
        firsts, seconds = maps[: len(asked)], maps[len(asked) :]
        fine = [one for one in firsts if one.status == OK]
        measured = self._measure(images, fine)
        features = self._features_of(images, [place for place, _ in asked])
        runners_up = {one.place: one for one in seconds}
        targets = {one.place: one for one in firsts}
        return [
            PatchEvidence(
                **_target_part(targets.get(place)),
                **measured.get(place, {}),
                features=features.get(place),
                **_runner_up_part(runners_up.get(place)),
            )
            for place in range(len(tasks))
        ]

    def _maps(self, images: torch.Tensor, asked: Sequence[tuple[int, str]]) -> list[_Map]:
        if not asked:
            return []
        places = [place for place, _ in asked]
        targets = [self._classifier.classes.index(name) for _, name in asked]
        found = self._sise(images[places], target=targets)
        values = found.maps.cpu().numpy().astype(np.float32)
        passes = found.forwards.tolist()
        return [
            _Map(*one) for one in zip(places, targets, values, found.status, passes, strict=True)
        ]

    def _features_of(self, images: torch.Tensor, places: list[int]) -> dict[int, bytes]:
        if not places:
            return {}
        found = self._features(images[places])
        return {place: own.tobytes() for place, own in zip(places, found, strict=True)}

    def _measure(self, images: torch.Tensor, maps: Sequence[_Map]) -> dict[int, dict[str, Any]]:
        """The figures of each map, by its place and their names in `PatchEvidence`."""
        if not maps:
            return {}
        images = images[[one.place for one in maps]]
        targets = torch.tensor([one.target for one in maps], device=images.device)
        tops = [top_share(torch.from_numpy(one.values)[None], KEPT_SHARE)[0] for one in maps]
        keep = torch.stack([kept for top in tops for kept in (torch.ones_like(top), top, ~top)])
        owners = torch.arange(len(maps), device=images.device).repeat_interleave(3)
        # On a processor three are as fast as many, and a batch that is always full.
        size = 3 if images.device.type == "cpu" else self._batch_size
        scorer = MaskScorer(
            self._classifier.network,
            Masker(images, self._fill),
            targets,
            "softmax",
            BatchSize(size),
        )
        with torch.inference_mode():
            (scores,) = scorer([MaskSet(keep.to(images.device, torch.float32), owners)])
        agreed = agreements(self._second, images, targets, [one.values for one in maps])
        names = ("whole_score", "kept_score", "removed_score")
        measured = {}
        for one, three, agreement in zip(maps, scores.view(-1, 3), agreed, strict=True):
            shape = zip(_REGION, map(float, explained_region(one.values)), strict=True)
            measured[one.place] = (
                dict(zip(names, three.tolist(), strict=True))
                | {"drop": drop(three[0], three[1]).item(), "agreement": agreement}
                | {"region_contour": svg_path(region(one.values))}
                | dict(shape)
            )
        return measured


def patches_at_once(budget: Budget, batch_size: int) -> int:
    """How many patches, each with a runner-up, make several full batches of masks."""
    masks = 2 * (budget if isinstance(budget, int) else batch_size)
    return math.ceil(_FULL_BATCHES * batch_size / masks)


_REGION = ("region_area", "region_left", "region_top", "region_width", "region_height")
# Of so many, a last one that is half empty costs little.
_FULL_BATCHES = 8
_FEWEST = 8


def _target_part(found: _Map | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "heat": to_grey(found.values),
        "map_status": found.status,
        "forwards": found.forwards,
    }


def _runner_up_part(found: _Map | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "runner_up_heat": to_grey(found.values),
        "runner_up_status": found.status,
        "runner_up_forwards": found.forwards,
    }


def region(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """The pixels (H, W) where a map exceeds its Otsu threshold; it must not be constant."""
    found: npt.NDArray[np.bool_] = heat > float(threshold_otsu(heat))  # type: ignore[no-untyped-call]
    return found


def explained_region(heat: npt.NDArray[np.float32]) -> tuple[int, int, int, int, int]:
    """Area and bounding box (left, top, width, height) in px of `region`."""
    pixels = region(heat)
    across, down = np.flatnonzero(pixels.any(axis=0)), np.flatnonzero(pixels.any(axis=1))
    left, top = int(across[0]), int(down[0])
    width, height = int(across[-1]) - left + 1, int(down[-1]) - top + 1
    return int(pixels.sum()), left, top, width, height
