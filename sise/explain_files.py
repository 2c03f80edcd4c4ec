"""Explain image files with a model bundle: the work behind `sise explain`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sise.bundle import ModelBundle, file_sha256, library_versions
from sise.capture import in_eval_mode
from sise.engine import Engine, RunOptions
from sise.errors import ImageError, SiseError
from sise.explain_outputs import FILES, all_or_none, check_names, claim, is_up_to_date
from sise.explanation import NOT_FINITE, OK, REVISION, Explainer, Explanation
from sise.images import read_image, write_png, write_whole
from sise.logits import class_names, every_probability
from sise.overlay import overlay, to_grey
from sise.registry import MethodSpec, check_plain, defaults, make_explainer, parse_spec
from sise.tiling import merge_tiles, tile_lefts

NORMAL = "normal"


@dataclass(frozen=True)
class Settings:
    """What decides a map, besides the bundle and the image.

    `method` is one of the registry, with or without options: "rise:n_masks=2000". `options` are
    more of them. What neither names is the method's own default.
    """

    method: str = "sise"
    target: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    stride: int = 224
    palette: str = "inferno"


@dataclass(frozen=True)
class Outcome:
    """What became of one image file: its `summary`, or why it `failed` and nothing is written."""

    image: Path
    summary: str
    failed: bool = False


@dataclass(frozen=True)
class _TileResult:
    left: int
    label: int
    score: float
    map: npt.NDArray[np.float32] | None
    record: dict[str, Any]


def spec_of(settings: Settings) -> MethodSpec:
    """The method that the settings name, with all options given.

    Raises SiseError for a method that does not exist, and for an option that it does not know or
    that is given twice.
    """
    spec = parse_spec(settings.method)
    known = defaults(spec.method)
    for name in settings.options:
        if name not in known:
            raise SiseError(
                f"method {spec.method} has no option {name!r}; it has {', '.join(known)}"
            )
        if name in spec.options:
            raise SiseError(f"{name!r} is given twice: leave it out of {settings.method!r}")
    check_plain(f"method {spec.method}", settings.options)
    return replace(spec, options={**spec.options, **settings.options})


def record_of(settings: Settings) -> dict[str, Any]:
    """All that the settings decide, defaults included, as a map's record holds it.

    Raises as `spec_of`.
    """
    spec = spec_of(settings)
    said = {
        "method": spec.method,
        "target": settings.target,
        **defaults(spec.method),
        **spec.options,
        "stride": settings.stride,
        "palette": settings.palette,
    }
    plain: dict[str, Any] = json.loads(json.dumps(said, allow_nan=False))
    return plain


def explain_files(
    bundle: ModelBundle, images: Sequence[Path], out: Path, settings: Settings
) -> Iterator[Outcome]:
    """Explain each image, a crop or a whole strip, and write its map and overlay to `out`.

    Writes NAME_map.npy (float32 in [0, 1]), NAME_map.png (grey, 255 = 1), NAME_overlay.png and,
    last, NAME.json. An image whose NAME.json was made from the same bundle, settings, file and
    revision of the methods, and whose other files are still there, is not computed again. An
    image that cannot be read, or for which the model's answer or the map is not finite, is an
    outcome, not an error: nothing is written for it.

    Raises SiseError for two images of one name, an unknown target, and as `spec_of`, and
    OutputError if one of the files to write is there already and was not written here.
    """
    check_names(images)
    target = _target_index(bundle, settings.target)
    spec = spec_of(settings)
    explainer = make_explainer(spec, bundle.model, {})
    engine = Engine(bundle.model, RunOptions(output=spec.options.get("output", "softmax")))
    run = _Run(bundle, engine, explainer, settings, target, out)
    with in_eval_mode(engine.model):
        engine.check_model(torch.zeros(1, 3, *bundle.card.input_size, device=run.device))
    claim(out, images)
    for path in images:
        try:
            yield Outcome(path, run.explain(path))
        except ImageError as error:
            yield Outcome(path, str(error), failed=True)


@dataclass(frozen=True)
class _Run:
    """What the images have in common; `target` is the index of the class that was asked for."""

    bundle: ModelBundle
    engine: Engine
    explainer: Explainer
    settings: Settings
    target: int | None
    out: Path

    @property
    def device(self) -> torch.device:
        return next(self.bundle.model.parameters()).device

    def explain(self, path: Path) -> str:
        """Write an image's files, unless they are up to date; a summary."""
        image = read_image(path)
        identity = {
            "image": path.name,
            "image_sha256": file_sha256(path),
            "bundle_sha256": self.bundle.sha256,
            "settings": record_of(self.settings),
            "revision": REVISION,
        }
        record_path = self.out / f"{path.stem}.json"
        map_values, map_picture, laid_over = (self.out / f"{path.stem}_{name}" for name in FILES)
        if is_up_to_date(record_path, identity, (map_values, map_picture, laid_over)):
            return "up to date"

        tiles = self._tiles(path, image)
        explained = [tile for tile in tiles if tile.map is not None]
        merged = merge_tiles(
            [tile.map for tile in explained if tile.map is not None],
            [tile.left for tile in explained],
            width=image.shape[1],
            height=image.shape[0],
        )
        record = {
            **identity,
            "device": str(self.device),
            "versions": library_versions(),
            "tiles": [tile.record for tile in tiles],
        }
        text = json.dumps(record, indent=2, allow_nan=False) + "\n"
        with all_or_none(record_path, map_values, map_picture, laid_over):
            write_whole(map_values, lambda temporary: _save(temporary, merged))
            write_png(map_picture, to_grey(merged))
            write_png(laid_over, overlay(image, merged, palette=self.settings.palette))
            write_whole(record_path, lambda temporary: temporary.write_text(text, "utf-8"))
        return _summary(self.bundle, tiles)

    def _tiles(self, path: Path, image: npt.NDArray[np.uint8]) -> list[_TileResult]:
        height, width = self.bundle.card.input_size
        if image.shape[0] != height or image.shape[1] < width:
            raise ImageError(
                f"{path}: {image.shape[1]}x{image.shape[0]} px; this bundle takes {width}x{height} "
                f"px, or strips {height} px high and at least {width} px wide"
            )
        lefts = tile_lefts(image.shape[1], width, min(self.settings.stride, width))
        pixels = np.stack([image[:, left : left + width] for left in lefts])
        inputs = self.bundle.preprocess(pixels).to(self.device)
        probabilities = _probabilities(self.engine, inputs)
        known = probabilities.isfinite().all(dim=1).tolist()
        _check_finite(path, lefts, known, "the model's answer")
        alone = len(lefts) == 1
        tiles = [
            self._tile(inputs[index], left, probabilities[index], alone)
            for index, left in enumerate(lefts)
        ]
        fine = [tile.record["status"] != NOT_FINITE for tile in tiles]
        _check_finite(path, lefts, fine, "the map")
        return tiles

    def _tile(
        self, tile: torch.Tensor, left: int, probabilities: torch.Tensor, alone: bool
    ) -> _TileResult:
        """Crops are always explained; tiles unless they look normal and no class was named."""
        classes = class_names(self.bundle.card.classes)
        predicted = int(probabilities.argmax())
        label = predicted if self.target is None else self.target
        record: dict[str, Any] = {
            "left": left,
            "predicted": classes[predicted],
            "explained": classes[label],
            "probabilities": dict(zip(classes, probabilities.tolist(), strict=True)),
        }
        score = float(probabilities[label])
        if not alone and self.target is None and classes[predicted] == NORMAL:
            record |= {"status": "normal, not explained"}
            return _TileResult(left, label, score, None, record)
        explanation = self.explainer(tile[None], target=label)
        values = explanation.maps[0].cpu().numpy()
        return _TileResult(left, label, score, values, record | _record(explanation))


def _check_finite(path: Path, lefts: Sequence[int], finite: Sequence[bool], what: str) -> None:
    """Raise ImageError, naming the first tile, unless all are finite."""
    if not all(finite):
        first = lefts[list(finite).index(False)]
        where = "" if len(lefts) == 1 else f" at {first} px ({finite.count(False)} of {len(lefts)})"
        raise ImageError(
            f"{path}: {what} is not finite{where}: numbers too large for it; give --precision "
            "fp32 or fp64, or another model"
        )


def _probabilities(engine: Engine, inputs: torch.Tensor) -> torch.Tensor:
    """Of every class for each of the inputs (B, 3, H, W), one at a time: (B, classes).

    NaN where a logit is not finite: an overflow, not a certainty.
    """
    with in_eval_mode(engine.model), engine.unchanging(), torch.no_grad():
        engine.check_model(inputs)
        forward = engine.exact_forward(inputs.device)
        logits = torch.cat([forward(one[None]) for one in inputs])
        known = logits.isfinite()
        scores = every_probability(logits, engine.options.output)
        return scores.where(known, torch.nan).cpu()


def _record(explanation: Explanation) -> dict[str, Any]:
    return {
        "status": explanation.status[0],
        "forwards": int(explanation.forwards[0]),
        "layers": [
            {
                "name": layer.name,
                "found": layer.found,
                "constant": int(layer.constant[0]),
                "selected": int(layer.selected[0]),
            }
            for layer in explanation.layers
        ],
    }


def _summary(bundle: ModelBundle, tiles: Sequence[_TileResult]) -> str:
    classes = class_names(bundle.card.classes)

    def describe(tile: _TileResult) -> str:
        status = tile.record["status"]
        doubt = "" if status == OK else f", {status}"
        return f"{classes[tile.label]} ({tile.score:.2f}{doubt})"

    if len(tiles) == 1:
        return describe(tiles[0])
    explained = [f"{describe(tile)} at {tile.left} px" for tile in tiles if tile.map is not None]
    if not explained:
        return f"all {len(tiles)} tiles look normal; --target CLASS explains a class anyway"
    return f"{len(explained)} of {len(tiles)} tiles explained: {', '.join(explained)}"


def _target_index(bundle: ModelBundle, target: str | None) -> int | None:
    if target is None:
        return None
    classes = class_names(bundle.card.classes)
    if target in classes:
        return classes.index(target)
    if target.isdecimal() and int(target) < len(classes):
        return int(target)
    names = ", ".join(f"{index} ({name})" for index, name in enumerate(classes))
    raise SiseError(f"target {target!r}: this bundle has the classes {names}")


def _save(path: Path, values: npt.NDArray[np.float32]) -> None:
    with path.open("wb") as stream:
        np.save(stream, values)
