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
    with in_eval_mode(engine.model):
        device = next(bundle.model.parameters()).device
        engine.check_model(torch.zeros(1, 3, *bundle.card.input_size, device=device))
    claim(out, images)
    for path in images:
        try:
            yield Outcome(
                path, _explain_file(bundle, engine, explainer, path, out, settings, target)
            )
        except ImageError as error:
            yield Outcome(path, str(error), failed=True)


def _explain_file(
    bundle: ModelBundle,
    engine: Engine,
    explainer: Explainer,
    path: Path,
    out: Path,
    settings: Settings,
    target: int | None,
) -> str:
    image = read_image(path)
    identity = {
        "image": path.name,
        "image_sha256": file_sha256(path),
        "bundle_sha256": bundle.sha256,
        "settings": record_of(settings),
        "revision": REVISION,
    }
    record_path = out / f"{path.stem}.json"
    map_values, map_picture, laid_over = (out / f"{path.stem}_{name}" for name in FILES)
    if is_up_to_date(record_path, identity, (map_values, map_picture, laid_over)):
        return "up to date"

    tiles = _explain_tiles(bundle, engine, explainer, path, image, settings.stride, target)
    explained = [tile for tile in tiles if tile.map is not None]
    merged = merge_tiles(
        [tile.map for tile in explained if tile.map is not None],
        [tile.left for tile in explained],
        width=image.shape[1],
        height=image.shape[0],
    )
    record = {
        **identity,
        "device": str(next(bundle.model.parameters()).device),
        "versions": library_versions(),
        "tiles": [tile.record for tile in tiles],
    }
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    with all_or_none(record_path, map_values, map_picture, laid_over):
        write_whole(map_values, lambda temporary: _save(temporary, merged))
        write_png(map_picture, to_grey(merged))
        write_png(laid_over, overlay(image, merged, palette=settings.palette))
        write_whole(record_path, lambda temporary: temporary.write_text(text, "utf-8"))
    return _summary(bundle, tiles)


def _explain_tiles(
    bundle: ModelBundle,
    engine: Engine,
    explainer: Explainer,
    path: Path,
    image: npt.NDArray[np.uint8],
    stride: int,
    target: int | None,
) -> list[_TileResult]:
    height, width = bundle.card.input_size
    if image.shape[0] != height or image.shape[1] < width:
        raise ImageError(
            f"{path}: {image.shape[1]}x{image.shape[0]} px; this bundle takes {width}x{height} px, "
            f"or strips {height} px high and at least {width} px wide"
        )
    lefts = tile_lefts(image.shape[1], width, min(stride, width))
    device = next(bundle.model.parameters()).device
    pixels = np.stack([image[:, left : left + width] for left in lefts])
    inputs = bundle.preprocess(pixels).to(device)
    probabilities = _probabilities(engine, inputs)
    _check_finite(path, lefts, probabilities.isfinite().all(dim=1).tolist(), "the model's answer")
    tiles = [
        _explain_tile(bundle, explainer, inputs[index], left, probabilities[index], target,
                      alone=len(lefts) == 1)
        for index, left in enumerate(lefts)
    ]  # fmt: skip
    fine = [tile.record["status"] != NOT_FINITE for tile in tiles]
    _check_finite(path, lefts, fine, "the map")
    return tiles


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


def _explain_tile(
    bundle: ModelBundle,
    explainer: Explainer,
    tile: torch.Tensor,
    left: int,
    probabilities: torch.Tensor,
    target: int | None,
    alone: bool,
) -> _TileResult:
    """A crop is always explained; a strip's tile unless it looks normal and no class was named."""
    classes = class_names(bundle.card.classes)
    predicted = int(probabilities.argmax())
    label = predicted if target is None else target
    record: dict[str, Any] = {
        "left": left,
        "predicted": classes[predicted],
        "explained": classes[label],
        "probabilities": dict(zip(classes, probabilities.tolist(), strict=True)),
    }
    score = float(probabilities[label])
    if not alone and target is None and classes[predicted] == NORMAL:
        return _TileResult(left, label, score, None, {**record, "status": "normal, not explained"})
    explanation = explainer(tile[None], target=label)
    values = explanation.maps[0].cpu().numpy()
    return _TileResult(left, label, score, values, record | _record(explanation))


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
