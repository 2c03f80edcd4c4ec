"""How fast line models are beside PyTorch, and what they cost, on validation crops.

    defect-train export --bundle B --format onnx --int8 --data.root D --out line/onnx
    defect-train export --bundle B --format openvino --int8 --data.root D --out line/openvino
    python benchmarks/line/images.py --bundle B --data D --onnx line/onnx --openvino line/openvino

All on one thread, in batches of 16, round after round in turn, by processor seconds, as the machine
may be shared. From uint8 crops to probabilities: normalisation and softmax count for PyTorch, too.
"""

import json
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from jsonargparse import auto_cli

from severstal_prep.images import read_image
from sise import bundle as bundles
from sise.backends import import_openvino, scoring_network
from sise.devices import device_name
from training.crops import read_recast
from training.line_model import Answer, Images, Probabilities, compare, limits_of

AT_ONCE = 16
CPU = torch.device("cpu")


def main(
    bundle: Path,
    data: Path,
    onnx: Path,
    openvino: Path,
    rounds: int = 5,
    json_file: Path | None = None,
) -> None:
    """Print, and write, images per processor second of each way.

    Args:
        bundle: model bundle.
        data: recast dataset; its validation crops are shown.
        onnx: the bundle exported, with int8.
        openvino: the same.
        rounds: each classifies all crops in every way.
        json_file: to write the results to.
    """
    torch.set_num_threads(1)
    source = bundles.load(bundle)
    crops = read_recast(data).crops("val")
    images = np.stack([read_image(path) for path in crops.paths])
    ways = {
        "PyTorch fp32": by_torch(source, torch.float32),
        "PyTorch bf16": by_torch(source, torch.bfloat16),
        "ONNX Runtime fp32": by_onnx(onnx / "model.onnx"),
        "ONNX Runtime int8": by_onnx(onnx / "model-int8.onnx"),
        "OpenVINO fp32": by_openvino(openvino / "model.xml", "f32"),
        "OpenVINO bf16": by_openvino(openvino / "model.xml", "bf16"),
        "OpenVINO int8": by_openvino(openvino / "model-int8.xml", "f32"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    answers = {name: in_batches(images, answer) for name, answer in ways.items()}  # warmed up
    for number in range(rounds):
        for name in list(ways) if number % 2 == 0 else list(ways)[::-1]:
            begun = time.process_time()
            in_batches(images, ways[name])
            seconds[name].append(time.process_time() - begun)
    limits = limits_of(source.card.classes, source.card.thresholds)
    rows: dict[str, Any] = {}
    for name, found in answers.items():
        agreement = compare(answers["PyTorch fp32"], found, limits)
        rows[name] = {
            "images_per_s": round(len(images) / statistics.median(seconds[name]), 1),
            "rounds": sorted(round(len(images) / value, 1) for value in seconds[name]),
            "top1": round(float((found.argmax(axis=1) == crops.labels).mean()), 4),
            "largest_difference": agreement.largest_difference,
            "other_decisions": agreement.other_decisions,
        }
        print(name, json.dumps(rows[name]))
    libraries = ("steel-sise", "torch", "torchvision", "onnxruntime", "openvino", "nncf")
    results = {
        "architecture": source.card.architecture,
        "input_size": source.card.input_size,
        "crops": len(images),
        "batch": AT_ONCE,
        "ways": rows,
        "versions": {"python": platform.python_version()}
        | {library: version(library) for library in libraries},
        "device": device_name(CPU),
    }
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def in_batches(images: Images, answer: Answer) -> Probabilities:
    """Probabilities (N, C) of images (N, H, W, 3); the last batch is filled up."""
    parts = []
    for first in range(0, len(images), AT_ONCE):
        batch = images[first : first + AT_ONCE]
        filled = np.concatenate([batch, np.repeat(batch[:1], AT_ONCE - len(batch), axis=0)])
        parts.append(answer(filled)[: len(batch)])
    return np.concatenate(parts)


def by_torch(source: bundles.ModelBundle, dtype: torch.dtype) -> Answer:
    """The network that inspection classifies by with `--backend torch`."""
    network = scoring_network(source.model, CPU, dtype, "torch", compiled=False)

    def answer(images: Images) -> Probabilities:
        with torch.inference_mode():
            logits = network.forward(source.preprocess(images))
            found: Probabilities = logits.float().softmax(dim=1).numpy()
        return found

    return answer


def by_onnx(file: Path) -> Answer:
    """On one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def by_openvino(file: Path, precision: str) -> Answer:
    """On one thread."""
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1}
    model = import_openvino().Core().compile_model(file, "CPU", hints)
    return lambda images: model({"images": images})[0].copy()


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
