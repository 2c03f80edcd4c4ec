"""The parsers of this project, each as a function of bytes, with valid inputs to begin from.

The contract: an input gives a value or an error of ours, in one line; never another exception, a
hang, or more memory than its limit. A parser that reads files reads one in `folder`.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ["normal", "class 1", "class 2", "class 3", "class 4"]
SHA256 = "ab" * 32

Errors = tuple[type[Exception], ...]
Parse = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """A parser. `make(folder)` gives the function and the errors that it may raise.

    `tokens` are words of its language. `repair` mends sums, so that what is behind them is reached.
    `share` is its part of all inputs: parsers that are cheap carry most. `memory` is in bytes.
    """

    name: str
    make: Callable[[Path], tuple[Parse, Errors]]
    seeds: Callable[[], Sequence[bytes]]
    tokens: tuple[bytes, ...] = ()
    repair: Callable[[bytes], bytes] | None = None
    share: float = 1.0
    memory: int = 2**30


JSON_TOKENS = (b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"1e999", b"-1", b"NaN",
               b"\\ud800", b'""', b"99999999999999999999",
               b"0.5", b"\\u0000", b"{}", b"[]")  # fmt: skip
YAML_TOKENS = (b": ", b"- ", b"\n", b"&a ", b"*a", b"<<: *a", b"!!python/object:os.system ", b"{",
               b"}", b"[", b"]", b"| ", b"? ", b"---\n", b"...", b".inf", b".nan", b"0x1f", b"1:30",
               b"2026-11-27", b"~", b"!!binary ", b"\t", b"#", b"'", b'"')  # fmt: skip
NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"2147483647", b"-2147483648", b"4294967296",
           b"9223372036854775807", b"18446744073709551616", b"1e308", b"1e999", b"nan",
           b"0.1", b"1_000", "٣".encode())  # fmt: skip


def dumped(content: object) -> bytes:
    return json.dumps(content).encode()


def one_file(folder: Path, name: str, read: Callable[[Path], object]) -> Parse:
    """Write each input to `folder`/`name`, and read that."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)

    def parse(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return parse


# --- labels ---------------------------------------------------------------------------------------


def rle(folder: Path) -> tuple[Parse, Errors]:
    from severstal_prep.errors import RleError
    from severstal_prep.rle import decode, encode

    def parse(content: bytes) -> object:
        mask = decode(content.decode("latin-1"), 64, 100)
        again = decode(encode(mask), 64, 100)
        assert (mask == again).all(), "encode and decode are not each other's inverse"
        return mask

    return parse, (RleError,)


RLE_SEEDS = (b"", b"1 1", b"1 64 129 64", b"7 3 10 1 6399 2", b"291 12 346 24 602 24")


def labels(folder: Path) -> tuple[Parse, Errors]:
    from severstal_prep.annotations import read_annotations
    from severstal_prep.errors import AnnotationError

    def read(path: Path) -> object:
        quarantined = read_annotations(path, "quarantine")
        return quarantined, read_annotations(path, "stop")

    return one_file(folder, "train.csv", read), (AnnotationError,)


def label_seeds() -> list[bytes]:
    long = "ImageId,ClassId,EncodedPixels\na.jpg,1,1 3 9 2\na.jpg,3,4000 20\nb.jpg,2,\n"
    pairs = "ImageId_ClassId,EncodedPixels\na.jpg_1,1 3\na.jpg_2,\na.jpg_3,\na.jpg_4,5 5\n"
    odd = 'sep=;\n"ClassId";"ImageId";"EncodedPixels";"x"\n4;"b ü.jpg";"1 1";\n'
    texts = [long, pairs, odd, long.replace(",", "\t"), pairs.replace("\n", "\r\n")]
    return [text.encode() for text in texts] + [long.encode("utf-16"), odd.encode("latin-1")]


LABEL_TOKENS = (b",", b";", b"\t", b"\n", b"\r", b'"', b"\0", b"sep=;", b"nan", b"-1", b"ImageId",
                b"EncodedPixels", b".jpg_1", b"\xff\xfe", b"\xef\xbb\xbf",
                b"1,1e5", b" ")  # fmt: skip


def groups(folder: Path) -> tuple[Parse, Errors]:
    """`groups.csv` beside images and masks, by both packages that read it."""
    from severstal_prep.errors import PrepError
    from severstal_prep.images import write_png
    from severstal_prep.masked_images import read_masked_folder
    from sise.datasets.masks import MaskFolder
    from sise.errors import DatasetError

    for name in ("images/pit", "images/good", "masks/pit"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_png(folder / name / "1.png", np.full((8, 8), 200, np.uint8))

    def read(path: Path) -> object:
        try:
            first: object = read_masked_folder(folder)
        except PrepError as error:
            first = error
        return first, MaskFolder(folder).items

    return one_file(folder, "groups.csv", read), (DatasetError,)


GROUP_SEEDS = (
    b"class,file,group\npit,1.png,a\ngood,1.png,b\n",
    b"file,class,coil_group\n1.png,pit,7\n",
)


# --- cards, policies, recipes, options ------------------------------------------------------------


def policy(folder: Path) -> tuple[Parse, Errors]:
    from inspection.errors import PolicyError
    from inspection.pipeline.policy import parse_policy, resolve_by_card, resolve_thresholds

    metrics = {"risk_coverage": {"alone": {"min_confidence": 0.9}}}

    def parse(content: bytes) -> object:
        read = parse_policy(content, "policy.yaml")
        confident = resolve_by_card(read, metrics)
        return str(confident), resolve_thresholds(confident, CLASSES, {"class 1": 0.4})

    return parse, (PolicyError,)


def policy_seeds() -> list[bytes]:
    from importlib.resources import files

    small = b"""name: line 2
version: 3
thresholds: {class 1: 0.4}
default_threshold: 0.6
rules:
  - {name: bad, disposition: scrap, classes: [class 3], min_patches: 2, min_probability: 0.9}
  - {name: any, disposition: hold}
otherwise: accept
not_inspected: rework
unsure: {min_confidence: bundle}
weak_explanation: {max_drop: 0.3, max_removed: 0.9, min_agreement: 0.1, failures: 1}
"""
    return [small, files("inspection").joinpath("policies/default.yaml").read_bytes()]


CARD: dict[str, Any] = {
    "format": "steel-sise bundle 1",
    "architecture": "resnet18",
    "classes": CLASSES,
    "input_size": [256, 256],
    "mean": [0.4, 0.4, 0.4],
    "std": [0.2, 0.2, 0.2],
    "temperature": 1.5,
    "thresholds": {"class 1": 0.4},
    "dataset": {"card_sha256": SHA256},
    "metrics": {"val": {"top1": 0.9}, "reliability": [[0.1, 0.2]]},
    "versions": {"torch": "2.15"},
    "created": "2026-11-27T10:00:00+00:00",
    "weights_sha256": SHA256,
    "transform_input": False,
    "channels": 3,
}


def card(folder: Path) -> tuple[Parse, Errors]:
    from sise.bundle import read_card
    from sise.errors import BundleError
    from sise.model_card import markdown

    def read(path: Path) -> object:
        return markdown(read_card(path.parent))

    return one_file(folder, "model.json", read), (BundleError,)


def card_seeds() -> list[bytes]:
    from sise.bundle import FORMAT

    short = {name: CARD[name] for name in list(CARD)[:6]}
    return [dumped({**one, "format": FORMAT}) for one in (CARD, short)]


def recipe(folder: Path) -> tuple[Parse, Errors]:
    from severstal_prep.checked import read_yaml
    from training.errors import RecipeError
    from training.ranges import read_ranges
    from training.recipes import essentials, take_configs

    def read(path: Path) -> object:
        take_configs([f"--config={path}", "--data.root", "x"])
        content = read_yaml(path) or {}
        tune = content.get("tune")
        return essentials(content), read_ranges(tune) if isinstance(tune, dict) else tune

    return one_file(folder, "recipe.yaml", read), (RecipeError,)


def recipe_seeds() -> list[bytes]:
    from importlib.resources import files

    ranges = b"""tune:
  model.optimizer.init_args.lr: {low: 1e-4, high: 0.01, log: true}
  data.batch_size: {low: 8, high: 64, step: 8}
  data.sampler: {choices: [none, balanced]}
"""
    folder = files("training") / "recipes"
    return [ranges, *((folder / f"{name}.yaml").read_bytes() for name in ("demo", "paper"))]


def parsed(work: Callable[[], object]) -> object:
    """The exit code that a command line is answered by, 0 if none."""
    try:
        work()
    except SystemExit as error:
        return error.code
    return 0


def options(folder: Path) -> tuple[Parse, Errors]:
    """A file of options (`--config FILE`), for two commands."""
    import contextlib

    from jsonargparse import ArgumentParser

    import sise.checked  # noqa: F401  else Atheris tells of it where only errors are told
    from inspection.commands import run
    from severstal_prep.usage import parse as parse_command
    from sise.commands import explain
    from sise.usage import parse as parse_sise

    def read(path: Path) -> object:
        for command, parse in ((run, parse_command), (explain, parse_sise)):
            said = io.StringIO()
            parser = ArgumentParser(prog="program", exit_on_error=False)
            parser.add_subcommands(required=True).add_subcommand("command", command.parser())
            with contextlib.redirect_stderr(said):
                code = parsed(lambda: parse(parser, ["command", "--config", str(path)]))  # noqa: B023
            assert code in (0, 2), code
            assert said.getvalue().count("\n") == bool(code), said.getvalue()
        return None

    return one_file(folder, "options.yaml", read), ()


OPTION_SEEDS = (
    b"bundle: b\nbatch: in\nout: o\nexplain: all\nbudget: 94\nstride: 128\nrunner_up: false\n",
    b"bundle: b\nbatch: in\nout: o\nbudget: auto\nearlier: [x, y]\nmm_per_px: 0.5\nfail_on: any\n",
    b"image: [a.png]\nbundle: b\nout: o\nmethod: 'sise:budget=94'\n",
)


def costs(folder: Path) -> tuple[Parse, Errors]:
    from training.costs import cost_table, resolve_costs
    from training.errors import RecipeError

    def parse(content: bytes) -> object:
        return resolve_costs(cost_table(content.decode("utf-8", "surrogateescape")), CLASSES)

    return parse, (RecipeError,)


COST_SEEDS = (
    b"escape=100,overkill=1",
    b"escape=100,overkill=1,prevalence=0.02,class 3.escape=500,class 1.overkill=2.5",
    b'{escape: 5, overkill: 1, "class 3": {escape: 50, overkill: 2}}',
)


def method(folder: Path) -> tuple[Parse, Errors]:
    from sise.errors import SiseError
    from sise.registry import parse_specs

    def parse(content: bytes) -> object:
        specs = parse_specs(content.decode("utf-8", "surrogateescape").split("\n"))
        return [(spec.title, spec.slug, spec.options) for spec in specs]

    return parse, (SiseError,)


METHOD_SEEDS = (
    b"sise", b"sise:budget=94,context=reflect", b"rise:n_masks=2000,seed=1\nscorecam", b"truth",
    b"adasise:fusion=geometric,evidence=removed,fill=null",
    b"extremal-perturbation:areas=[0.1,0.2]",
)  # fmt: skip


# --- weights --------------------------------------------------------------------------------------


def tiny() -> Any:
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def bundle_weights(folder: Path) -> tuple[Parse, Errors]:
    """A bundle's weights, whose hash is right; the network is a small one, made once."""
    import hashlib

    import sise.bundle as bundle
    from sise.errors import BundleError

    small = tiny()
    bundle.build_network = lambda *_, **__: small  # type: ignore[assignment]

    def read(path: Path) -> object:
        described = CARD | {
            "format": bundle.FORMAT,
            "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        (folder / "model.json").write_bytes(dumped(described))
        return bundle.load(folder)

    return one_file(folder, bundle.WEIGHTS_NAME, read), (BundleError,)


def safetensors_seeds() -> list[bytes]:
    import safetensors.torch

    return [safetensors.torch.save({k: v.contiguous() for k, v in tiny().state_dict().items()})]


def weights(folder: Path) -> tuple[Parse, Errors]:
    from training.errors import WeightsError
    from training.state_dicts import find_state
    from training.state_files import read_tensors

    own = tiny().state_dict()

    def read(path: Path) -> object:
        return find_state(read_tensors(path), own, frozenset({"0"}), "tiny", str(path))

    return one_file(folder, "weights.pth", read), (WeightsError,)


def torch_seeds(content: object | None = None) -> list[bytes]:
    import torch

    seeds = []
    for zipped in (True, False):
        stream = io.BytesIO()
        torch.save(
            content or {"state_dict": tiny().state_dict(), "epoch": 3},
            stream,
            _use_new_zipfile_serialization=zipped,
        )
        seeds.append(stream.getvalue())
    return seeds


def weight_seeds() -> list[bytes]:
    stream = io.BytesIO()
    np.savez(stream, **{name: value.numpy() for name, value in tiny().state_dict().items()})
    return [*torch_seeds(), *safetensors_seeds(), stream.getvalue()]


def checkpoint(folder: Path) -> tuple[Parse, Errors]:
    import training.checkpoint as module
    from training.errors import CheckpointError

    small = tiny()
    module.build_network = lambda *_, **__: small  # type: ignore[assignment]
    return one_file(folder, "last.ckpt", module.read_checkpoint), (CheckpointError,)


def checkpoint_seeds() -> list[bytes]:
    from training.blueprint import KEY
    from training.checkpoint import NETWORK

    state = {f"{NETWORK}{name}": tensor for name, tensor in tiny().state_dict().items()}
    blueprint = {"architecture": "resnet18", "classes": CLASSES, "input_size": [256, 256],
                 "mean": [0.5] * 3, "std": [0.2] * 3, "dataset": {}}  # fmt: skip
    return torch_seeds({"state_dict": state, "epoch": 3, KEY: blueprint})


def zip_repair(content: bytes) -> bytes:
    """The members that can still be read, zipped anew with right sums."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w") as again:
                for member in archive.infolist():
                    start = member.header_offset + 30 + len(member.filename)
                    again.writestr(member.filename, content[start : start + member.file_size])
            return stream.getvalue()
    except Exception:  # whatever zipfile says of damage
        return content


# --- datasets -------------------------------------------------------------------------------------


def dataset_card(folder: Path) -> tuple[Parse, Errors]:
    from severstal_prep.build import BuiltCard
    from severstal_prep.dataset import Card, read_card
    from severstal_prep.errors import DatasetError
    from training.crops import SplitCard

    def read(path: Path) -> object:
        return [read_card(path.parent, kind) for kind in (Card, SplitCard, BuiltCard)]

    return one_file(folder, "dataset.json", read), (DatasetError,)


def dataset_content() -> dict[str, Any]:
    return {
        "format": "recast severstal 1",
        "settings": {"recipe": "paper", "split": "grouped", "seed": 0},
        "classes": CLASSES,
        "counts": {"train": {"0": 4, "1": 2}, "total": {"0": 4, "1": 2}},
        "differs_from_recipe": {"offset": 0},
        "absent": [],
        "dropped": {"black": 3},
        "rejected_strips": 0,
        "source": {"images_sha256": SHA256, "csv": "train.csv"},
    }


def manifest(folder: Path) -> tuple[Parse, Errors]:
    """The manifest, as preparation, training and evaluation read it."""
    from severstal_prep.checks import quick_checks
    from severstal_prep.errors import PrepError
    from sise.datasets.recast import RecastCrops
    from sise.errors import SiseError
    from training.crops import read_recast
    from training.errors import DataError

    (folder / "dataset.json").write_bytes(dumped(dataset_content()))

    def read(path: Path) -> object:
        read_by: list[object] = []
        try:
            read_by.append(RecastCrops(folder).items)
        except SiseError as error:
            read_by.append(error)
        recast = read_recast(folder)
        return recast, quick_checks(folder, recast.card, recast.manifest), read_by

    return one_file(folder, "manifest.parquet", read), (PrepError, DataError)


def parquet(frame: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream, index=False, **options)
    return stream.getvalue()


def manifest_seeds() -> list[bytes]:
    import pandas as pd

    from severstal_prep.dataset import COLUMNS

    rows = [
        (f"s{i}_x32", f"s{i}.jpg", 32, split, i % 3, f"crops/{split}/{i % 3}/s{i}_x32.png",
         f"masks/{split}/{i % 3}/s{i}_x32.png" if i % 3 else "", 100 * (i % 3), 0.0, f"g{i}",
         f"{i:064x}")
        for i, split in enumerate(["train", "val", "test"] * 2)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return [parquet(frame), parquet(frame, compression=None), parquet(frame[:0])]


def journal(folder: Path) -> tuple[Parse, Errors]:
    from severstal_prep.masked_crops import ImageRecord
    from severstal_prep.strips import StripRecord
    from severstal_prep.workfolder import WorkFolder

    def read(path: Path) -> object:
        work = WorkFolder(folder)
        return work.read_journal(StripRecord), work.read_journal(ImageRecord)

    return one_file(folder, ".build/strips.jsonl", read), ()


JOURNAL_SEEDS = (
    dumped({"image": "a.jpg", "sha256": SHA256, "perceptual_hash": "0" * 64,
            "black_fractions": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], "problem": ""})
    + b'\n\n{"image": "b.jpg", "sha256": "", "problem": "damaged"}\n',
)  # fmt: skip


def reference(folder: Path) -> tuple[Parse, Errors]:
    from severstal_prep.errors import OptionError
    from severstal_prep.reference import read_reference

    return one_file(folder, "counts.json", lambda path: read_reference(str(path))), (OptionError,)


def crop_map(folder: Path) -> tuple[Parse, Errors]:
    from training.crop_map import CropMap

    def read(path: Path) -> object:
        crops = CropMap(path)
        return crops.crop(0) if len(crops.shape) == 4 and crops.shape[0] else crops.shape

    return one_file(folder, "train.npy", read), (ValueError,)


def npy_seeds() -> list[bytes]:
    seeds = []
    for channels in (1, 3):
        stream = io.BytesIO()
        np.save(stream, np.arange(2 * 4 * 4 * channels, dtype=np.uint8).reshape(2, 4, 4, channels))
        seeds.append(stream.getvalue())
    return seeds


def coco(folder: Path) -> tuple[Parse, Errors]:
    from severstal_prep.images import write_png
    from sise.datasets.coco import Coco
    from sise.errors import DatasetError

    (folder / "val").mkdir(parents=True, exist_ok=True)
    write_png(folder / "val" / "a.png", np.full((20, 30, 3), 99, np.uint8))

    def read(path: Path) -> object:
        masks, boxes = Coco(folder, "val"), Coco(folder, "val", "boxes")
        truths = [masks.truth(item) for item in masks.items]
        return truths, [boxes.truth(item) for item in boxes.items]

    return one_file(folder, "annotations/instances_val.json", read), (DatasetError,)


def coco_seeds() -> list[bytes]:
    image = {"id": 1, "file_name": "a.png", "height": 20, "width": 30}
    polygon = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 5, 6], "iscrowd": 0,
               "area": 30, "segmentation": [[1, 2, 6, 2, 6, 8, 1, 8]]}  # fmt: skip
    runs = polygon | {"id": 2, "iscrowd": 1,
                      "segmentation": {"counts": [10, 20, 570], "size": [20, 30]}}  # fmt: skip
    packed = runs | {"id": 3, "segmentation": {"counts": "`02c02", "size": [20, 30]}}
    categories = [{"id": 3, "name": "scratch"}, {"id": 7, "name": "pit"}]
    return [
        dumped({"images": [image], "annotations": [one], "categories": categories})
        for one in (polygon, runs, packed)
    ]


def voc(folder: Path) -> tuple[Parse, Errors]:
    from sise.datasets.pascal import read_annotation
    from sise.errors import DatasetError

    image = np.zeros((20, 30, 3), np.uint8)

    def read(path: Path) -> object:
        annotation = read_annotation(path)
        return [annotation.mask(box.name, image) for box in annotation.boxes[:3]]

    return one_file(folder, "a.xml", read), (DatasetError,)


VOC_SEEDS = (
    b"<annotation><size><width>30</width><height>20</height><depth>3</depth></size>"
    b"<object><name>pit</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>2</ymin>"
    b"<xmax>10.5</xmax><ymax>12</ymax></bndbox></object></annotation>",
)
XML_TOKENS = (b"<!DOCTYPE a [<!ENTITY x 'yyyyyyyy'>]>", b"&x;", b"<object>", b"</object>",
              b"<bndbox>", b"</bndbox>", b"<xmin>", b"</xmin>", b"<![CDATA[", b"]]>", b"<!--",
              b"<?xml version='1.0' encoding='utf-16'?>", b"nan", b"inf", b"1e400")  # fmt: skip


# --- images ---------------------------------------------------------------------------------------


def image(folder: Path) -> tuple[Parse, Errors]:
    from severstal_prep.errors import UnreadableImageError
    from severstal_prep.images import decode_image

    def parse(content: bytes) -> object:
        pixels = decode_image(content, Path("strip"))
        assert pixels.ndim == 3, pixels.shape
        assert pixels.dtype == np.uint8
        return pixels.shape

    return parse, (UnreadableImageError,)


def masks(folder: Path) -> tuple[Parse, Errors]:
    """Images as masks: sise's reader, and training's."""
    from severstal_prep.errors import UnreadableImageError
    from sise.datasets.masks import read_mask
    from sise.errors import DatasetError
    from training.crops import read_mask as read_crop_mask

    picture = np.zeros((17, 23, 3), np.uint8)

    def read(path: Path) -> object:
        try:
            first: object = read_crop_mask(path)
        except UnreadableImageError as error:
            first = error
        return first, read_mask(path, picture)

    return one_file(folder, "mask.png", read), (DatasetError,)


def pictures(kind: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        from PIL import Image

        rng = np.random.default_rng(0)
        grey = Image.fromarray(rng.integers(0, 255, (6, 9), np.uint8))
        colour = Image.fromarray(rng.integers(0, 255, (17, 23, 3), np.uint8))
        options: dict[str, Sequence[dict[str, Any]]] = {
            "JPEG": ({}, {"progressive": True}, {"subsampling": 0, "quality": 95}),
            "PNG": ({}, {"optimize": True}),
            "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"},
                     {"compression": "jpeg"}),
            "BMP": ({},),
            "PPM": ({},),
            "WEBP": ({}, {"lossless": True}),
            "GIF": ({},),
        }  # fmt: skip
        found = []
        for one in (grey, colour, grey.convert("1"), colour.convert("P"), colour.convert("RGBA")):
            for chosen in options[kind]:
                stream = io.BytesIO()
                try:
                    one.save(stream, kind, **chosen)
                except (OSError, ValueError):  # not every kind has every mode
                    continue
                found.append(stream.getvalue())
        return found

    return seeds


def mask_seeds() -> list[bytes]:
    return [*pictures("PNG")(), *pictures("BMP")(), *pictures("TIFF")()]


def png_repair(content: bytes) -> bytes:
    """The same parts with right sums."""
    place, parts = 8, [content[:8]]
    while place + 12 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        length = min(length, len(content) - place - 12)
        part = content[place + 4 : place + 8 + length]
        parts.append(struct.pack(">I", length) + part + struct.pack(">I", zlib.crc32(part)))
        place += 12 + length
    return b"".join(parts)


PNG_TOKENS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"iCCP", b"acTL", b"zTXt",
              b"\x89PNG\r\n\x1a\n", b"\x10", b"\x00\x00\xff\xff")  # fmt: skip
PNM_TOKENS = (
    b"P1\n",
    b"P2\n",
    b"P3\n",
    b"P4\n",
    b"P5\n",
    b"P6\n",
    b"#",
    b"255\n",
    b"65535\n",
    b"99999 ",
)


# --- reports --------------------------------------------------------------------------------------

RECORD: dict[str, Any] = {
    "format": "steel-sise inspection 1",
    "fingerprint": SHA256,
    "batch": "coil 7",
    "batch_folder": "/x",
    "started": "2026-11-27T10:00:00+00:00",
    "ended": "2026-11-27T10:00:01+00:00",
    "config_sha256": SHA256,
    "versions": {"torch": "2.15"},
    "inputs": [{"strip_id": "a.png", "sha256": SHA256}],
    "skipped": [{"name": "x", "reason": "hidden"}],
    "config": {"thresholds": {"class 1": 0.5}, "stride": 224, "black_threshold": 0.95,
               "truth": {"file": "t.csv", "sha256": SHA256}},
    "bundle": {"folder": "/b", "sha256": SHA256, "weights_sha256": SHA256,
               "architecture": "resnet18", "classes": CLASSES},
    "policy": {"source": "default policy", "sha256": SHA256},
}  # fmt: skip


def record(folder: Path) -> tuple[Parse, Errors]:
    from inspection.store.record_types import (
        ComparedRecord,
        RegisteredRecord,
        VerifiedRecord,
        read_record,
    )

    kinds = (ComparedRecord, RegisteredRecord, VerifiedRecord)

    def read(path: Path) -> object:
        return [read_record(folder, kind) for kind in kinds]

    return one_file(folder, "batch.json", read), (ValueError,)


def tables(name: str) -> Callable[[Path], tuple[Parse, Errors]]:
    """A table of a report, as comparisons and the review read it."""

    def make(folder: Path) -> tuple[Parse, Errors]:
        from inspection.errors import InspectionError
        from inspection.review.register import read_report
        from inspection.store.reading import open_report

        (folder / "batch.json").write_bytes(dumped(RECORD))
        (folder / "results.parquet").write_bytes(results_seeds()[0])
        (folder / "strips.parquet").write_bytes(strips_seeds()[0])

        def read(path: Path) -> object:
            try:
                first: object = read_report(folder)
            except InspectionError as error:
                first = error
            return first, open_report(folder)

        return one_file(folder, name, read), (InspectionError,)

    return make


def results_frame() -> Any:
    import pandas as pd

    from inspection.pipeline.policy import probability_column

    rows = {
        "strip_id": ["a.png"] * 3,
        "coil": [""] * 3,
        "strip_sha256": [SHA256] * 3,
        "left": np.array([0, 224, 448], np.int32),
        "size": np.full(3, 256, np.int32),
        "patch_key": [SHA256] * 3,
        "steel": [True, True, False],
        "flagged": [True, False, False],
        "indicated": ["class 1", "", ""],
        "score": np.array([0.9, 0.8, 0.7], np.float32),
        "heat": [b"\x00\x01" * 8] * 3,
        "key": ["k"] * 3,
    }
    columns = {probability_column(one): np.array([0.2] * 3, np.float32) for one in CLASSES}
    return pd.DataFrame(rows | columns)


def results_seeds() -> list[bytes]:
    frame = results_frame()
    return [
        parquet(frame, compression="zstd"),
        parquet(frame, compression=None),
        parquet(frame[:0]),
    ]


def strips_seeds() -> list[bytes]:
    import pandas as pd

    frame = pd.DataFrame({"strip_id": ["a.png"], "coil": [""], "strip_sha256": [SHA256],
                          "status": ["inspected"], "disposition": ["hold"]})  # fmt: skip
    return [parquet(frame, compression="zstd"), parquet(frame, compression=None)]


def shard(folder: Path) -> tuple[Parse, Errors]:
    """Work in progress: a damaged shard is none."""
    from inspection.store.tables import Shards

    return one_file(folder, "k.parquet", lambda path: Shards(folder).read(["k"])), ()


def sums(folder: Path) -> tuple[Parse, Errors]:
    from inspection.errors import ReportFolderError
    from inspection.store.checksums import read_checksums

    return one_file(folder, "SHA256SUMS", lambda path: read_checksums(folder)), (ReportFolderError,)


SUM_SEEDS = (
    f"{SHA256}  index.html\n\\{SHA256}  a\\\\b\\n\n{SHA256}  img/пятно 1.png\n".encode(),
    f"{SHA256}  ../out\n".encode(),
)


def decisions(folder: Path) -> tuple[Parse, Errors]:
    from inspection.review.decisions import read_decisions
    from inspection.review.errors import DecisionError

    return one_file(folder, "decisions.json", read_decisions), (DecisionError,)


def decision_seeds() -> list[bytes]:
    uuid = "6f1f9b3c-1111-4222-8333-0123456789ab"
    said = {"id": uuid, "strip": "a.png", "reviewer": "Ada", "time": "2026-11-27T10:00:00+01:00"}
    entries = [
        said | {"kind": "confirm", "left": 0, "reason": "seen"},
        said | {"kind": "reclass", "left": 224, "class": "class 2", "in_view_of": [uuid]},
        said | {"kind": "disposition", "disposition": "scrap"},
        said | {"kind": "undo", "undoes": uuid},
    ]
    batch = {"name": "coil 7", "fingerprint": SHA256}
    return [dumped({"format": "steel-sise decisions 1", "batch": batch, "decisions": entries})]


def rows(folder: Path) -> tuple[Parse, Errors]:
    """The rows of an evaluation, and whether a file is one of them."""
    from sise.evaluation.store import RowStore
    from sise.outputs import begins_with_rows, holds

    def read(path: Path) -> object:
        return "a" in RowStore(path), begins_with_rows(path), holds(path, key=...)

    return one_file(folder, "rows.jsonl", read), ()


ROW_SEEDS = (b'{"key": "a", "x": 0.5, "y": null}\n{"key": "b", "x": NaN}\n{"key": "c"',)


def kept_map(folder: Path) -> tuple[Parse, Errors]:
    from sise.errors import SiseError
    from sise.evaluation.store import MapStore
    from sise.registry import parse_spec

    spec, store = parse_spec("rise"), MapStore(folder)
    return one_file(folder, "rise/a.npz", lambda path: store.kept(spec, "a")), (SiseError,)


def map_seeds() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, key="k", map=np.zeros((4, 4), np.float32), status="ok", score=0.5,
             forwards=3, seconds=0.1)  # fmt: skip
        found.append(stream.getvalue())
    return found


def run_record(folder: Path) -> tuple[Parse, Errors]:
    """The record of an interrupted training."""
    from training.errors import RunFolderError
    from training.runs import RunFolder

    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    run.last.touch()
    run.config.write_text("a: 1\n")
    return one_file(folder, "run.json", lambda path: run.state({"a": 1}, SHA256)), (RunFolderError,)


def explained(folder: Path) -> tuple[Parse, Errors]:
    """The record beside an explained image: whatever it holds, it is up to date or not."""
    from sise.explain_outputs import is_up_to_date

    return one_file(folder, "a.json", lambda path: is_up_to_date(path, {"bundle": "x"}, ())), ()


TARGETS = (
    Target("rle", rle, lambda: RLE_SEEDS, NUMBERS, share=25),
    Target("labels.csv", labels, label_seeds, (*LABEL_TOKENS, *NUMBERS), share=4),
    Target("groups.csv", groups, lambda: GROUP_SEEDS, LABEL_TOKENS, share=1),
    Target("policy", policy, policy_seeds, YAML_TOKENS, share=4),
    Target("model card", card, card_seeds, JSON_TOKENS, share=4),
    Target("bundle weights", bundle_weights, safetensors_seeds, JSON_TOKENS, share=2),
    Target("weights", weights, weight_seeds, repair=zip_repair, share=2),
    Target("checkpoint", checkpoint, checkpoint_seeds, repair=zip_repair, share=1),
    Target("recipe", recipe, recipe_seeds, (*YAML_TOKENS, *NUMBERS), share=2),
    Target("options", options, lambda: OPTION_SEEDS, (*YAML_TOKENS, *NUMBERS), share=0.1),
    Target("costs", costs, lambda: COST_SEEDS, (*YAML_TOKENS, *NUMBERS, b"=", b","), share=12),
    Target("method", method, lambda: METHOD_SEEDS, (*YAML_TOKENS, *NUMBERS, b"=", b","), share=6),
    Target("dataset card", dataset_card, lambda: [dumped(dataset_content())], JSON_TOKENS, share=4),
    Target("manifest", manifest, manifest_seeds, share=0.5),
    Target("build journal", journal, lambda: JOURNAL_SEEDS, JSON_TOKENS, share=4),
    Target("reference counts", reference,
           lambda: [dumped(dataset_content()), dumped({"crops": {"normal": 3, "class 1": 2}})],
           JSON_TOKENS, share=4),
    Target("crop map", crop_map, npy_seeds, share=3),
    Target("COCO", coco, coco_seeds, (*JSON_TOKENS, *NUMBERS), share=1),
    Target("VOC", voc, lambda: VOC_SEEDS, (*XML_TOKENS, *NUMBERS), share=6),
    Target("JPEG", image, pictures("JPEG"), share=6, memory=2**31),
    Target("PNG", image, pictures("PNG"), PNG_TOKENS, png_repair, share=6, memory=2**31),
    Target("TIFF", image, pictures("TIFF"), share=4, memory=2**31),
    Target("BMP", image, pictures("BMP"), share=4, memory=2**31),
    Target("PGM", image, pictures("PPM"), PNM_TOKENS, share=4, memory=2**31),
    Target("WebP", image, pictures("WEBP"), share=3, memory=2**31),
    Target("GIF", image, pictures("GIF"), share=3, memory=2**31),
    Target("masks", masks, mask_seeds, PNG_TOKENS, png_repair, share=2, memory=2**31),
    Target("batch.json", record, lambda: [dumped(RECORD)], JSON_TOKENS, share=4),
    Target("results.parquet", tables("results.parquet"), results_seeds, share=0.5),
    Target("strips.parquet", tables("strips.parquet"), strips_seeds, share=0.5),
    Target("shard", shard, results_seeds, share=0.5),
    Target("SHA256SUMS", sums, lambda: SUM_SEEDS, (b"\\", b"\n", b"\r", b"..", b"/", b"  "),
           share=15),
    Target("decisions", decisions, decision_seeds, JSON_TOKENS, share=4),
    Target("evaluation rows", rows, lambda: ROW_SEEDS, JSON_TOKENS, share=6),
    Target("evaluation map", kept_map, map_seeds, repair=zip_repair, share=1),
    Target("run record", run_record, lambda: [dumped({"dataset_card_sha256": SHA256})],
           JSON_TOKENS, share=2),
    Target("explained image", explained,
           lambda: [dumped({"bundle": "x", "tiles": [{"status": "ok"}]})], JSON_TOKENS, share=6),
)  # fmt: skip
