"""Speed of `severstal-prep build` against bare decoding and encoding of the same images.

Bare: every strip is read as JPEG and each crop and mask that `build` keeps is written as PNG,
by the same reader and writer and nothing else. Build: the whole command's work (labels,
hashes, rules, near-duplicates, split, manifest, overview). Both run in this process, on one
core, in turns; the median of the rounds counts. Seconds are the processor's, of user and
system together, so that other work on the machine matters little; a first round, in which
libraries are imported, is not counted.

    python benchmarks/bench_build.py --csv train.csv --images train_images [--copies 5] [--json]

`--copies` cuts every strip so often, under new names, for data sets too small to measure.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import pandas as pd
import threadpoolctl

from severstal_prep.annotations import read_annotations
from severstal_prep.build import Request, build
from severstal_prep.dataset import read_manifest
from severstal_prep.images import read_image, to_grey, write_png
from severstal_prep.recast import Rules
from severstal_prep.training_crops import CROP_SIDE

TARGET = 0.8


def main() -> None:
    arguments = parse_arguments()
    cv2.setNumThreads(1)
    threadpoolctl.threadpool_limits(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        csv, images = replicate(arguments.csv, arguments.images, arguments.copies, folder)
        measure(*replicate(arguments.csv, arguments.images, 1, folder / "warm"), folder / "warm")
        rounds = [measure(csv, images, folder / f"round{i}") for i in range(arguments.rounds)]
        strips = sum(bool(a.labels) for a in read_annotations(csv).strips.values())
    bare = statistics.median(seconds for seconds, _ in rounds)
    built = statistics.median(seconds for _, seconds in rounds)
    result = {
        "strips": strips,
        "rounds": arguments.rounds,
        "bare_strips_per_core_second": round(strips / bare, 1),
        "build_strips_per_core_second": round(strips / built, 1),
        "ratio": round(bare / built, 3),
        "ratio_of_each_round": [round(b / c, 3) for b, c in rounds],
        "target": TARGET,
    }
    print(json.dumps(result, indent=2) if arguments.json else table(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--csv", type=Path, required=True, help="label file")
    parser.add_argument("--images", type=Path, required=True, help="folder of the strips")
    parser.add_argument("--copies", type=int, default=1, help="times each strip (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def replicate(csv: Path, images: Path, copies: int, folder: Path) -> tuple[Path, Path]:
    rows = pd.read_csv(csv, dtype=str, keep_default_na=False)
    names = rows.columns[0]
    many = [rows.assign(**{names: f"{i}_" + rows[names]}) for i in range(copies)]
    (folder / "strips").mkdir(parents=True)
    for image in images.iterdir():
        for i in range(copies):
            shutil.copyfile(image, folder / "strips" / f"{i}_{image.name}")
    pd.concat(many).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv", folder / "strips"


def measure(csv: Path, images: Path, out: Path) -> tuple[float, float]:
    """Processor seconds of the bare work and of the build, on the same strips."""
    start = time.process_time()
    build(Request(csv, images, out / "built", Rules(), jobs=1))
    built = time.process_time() - start
    manifest = read_manifest(out / "built")
    masks = {
        crop.mask_path: to_grey(read_image(out / "built" / crop.mask_path))
        for crop in manifest.itertuples()
        if crop.mask_path
    }
    listed = [name for name, a in read_annotations(csv).strips.items() if a.labels]
    crops = dict(list(manifest.groupby("strip_id")))
    (out / "bare").mkdir()
    start = time.process_time()
    for name in listed:
        strip = read_image(images / name)
        if Path(name).stem not in crops:
            continue
        for crop in crops[Path(name).stem].itertuples():
            grey = strip[:, crop.left : crop.left + CROP_SIDE, 0]
            write_png(out / "bare" / f"{crop.crop_id}.png", grey)
            if crop.mask_path:
                write_png(out / "bare" / f"{crop.crop_id}_mask.png", masks[crop.mask_path])
    bare = time.process_time() - start
    print(f"bare {bare:.2f} s, build {built:.2f} s", file=sys.stderr)
    return bare, built


def table(result: dict[str, object]) -> str:
    return "\n".join(
        [
            f"{result['strips']} strips, one core, median of {result['rounds']} rounds",
            f"bare decode and encode  {result['bare_strips_per_core_second']:>8} strips/s",
            f"build                   {result['build_strips_per_core_second']:>8} strips/s",
            f"ratio                   {result['ratio']:>8} (target: {TARGET})",
        ]
    )


if __name__ == "__main__":
    main()
