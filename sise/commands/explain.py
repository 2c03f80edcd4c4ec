"""`sise explain`: maps and overlays of images."""

import sys
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, PositiveInt

UNREADABLE_INPUTS = 4


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Explain the class that a model bundle gives to each image, a crop or a "
        "whole strip. Writes NAME_map.npy, NAME_map.png, NAME_overlay.png and NAME.json."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    options.add_argument("--bundle", type=Path, required=True, help="folder of the model bundle")
    options.add_argument(
        "--image", type=Path, nargs="+", required=True, help="image files, JPEG or PNG"
    )
    options.add_argument("--out", type=Path, required=True, help="folder to write to")
    options.add_argument(
        "--method", type=Literal["sise", "gradcam"], default="sise", help="how to explain"
    )
    options.add_argument(
        "--target",
        type=str | None,
        default=None,
        help="class to explain, by name or index; the predicted one if left out",
    )
    options.add_argument(
        "--mu", type=NonNegativeFloat, default=0.0, help="μ of SISE; above 0 fewer masks are scored"
    )
    options.add_argument(
        "--budget",
        type=Literal["auto"] | PositiveInt | None,
        default=None,
        help="forward passes per tile of SISE, at most; auto: until the map has settled; "
        "null, the paper's SISE, scores every mask",
    )
    options.add_argument(
        "--fill",
        type=Literal["grey", "mean", "blur", "inpaint"],
        default="grey",
        help="what SISE puts where pixels are masked out; grey is the paper's",
    )
    options.add_argument(
        "--context",
        type=Literal["reflect", "edge"] | None,
        default=None,
        help="how the image goes on around its border while SISE's masks are made (docs/steel.md); "
        "null, the paper's SISE: it does not",
    )
    options.add_argument(
        "--output",
        type=Literal["softmax", "sigmoid"],
        default="softmax",
        help="what makes probabilities of the model's logits; sigmoid for multi-label models",
    )
    options.add_argument(
        "--fusion", type=Literal["hard", "soft"], default="hard", help="how SISE fuses layers"
    )
    options.add_argument(
        "--layers",
        type=str,
        nargs="+",
        default=None,
        help="modules to explain; the network's blocks if left out",
    )
    options.add_argument(
        "--precision",
        type=Literal["auto", "fp64", "fp32", "bf16"],
        default="auto",
        help="of the scored passes; auto is bf16 where the hardware has it",
    )
    options.add_argument(
        "--batch-size",
        type=Literal["auto"] | PositiveInt,
        default="auto",
        help="masked images per pass",
    )
    options.add_argument(
        "--backend",
        type=Literal["torch", "openvino"],
        default="torch",
        help="what runs the scored passes; openvino, an extra, is the fastest on a processor",
    )
    options.add_argument(
        "--compile",
        type=bool,
        default=False,
        help="compile the scored passes (true): slow at first, then two to three times as fast",
    )
    options.add_argument(
        "--stride", type=PositiveInt, default=224, help="px between the tiles of a strip"
    )
    options.add_argument(
        "--palette",
        type=Literal["inferno", "magma", "viridis", "cividis"],
        default="inferno",
        help="colours of the overlay",
    )
    options.add_argument("--device", type=str, default="auto", help="auto, cpu or cuda")
    return options


def run(arguments: Namespace) -> int:
    import torch
    from rich.console import Console
    from rich.progress import track

    from sise import bundle as bundles
    from sise.explain_files import Settings, explain_files

    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    bundle = bundles.load(arguments.bundle, device)
    settings = Settings(
        method=arguments.method,
        target=arguments.target,
        mu=arguments.mu,
        budget=arguments.budget,
        fusion=arguments.fusion,
        fill=arguments.fill,
        context=arguments.context,
        output=arguments.output,
        layers=None if arguments.layers is None else tuple(arguments.layers),
        precision=arguments.precision,
        batch_size=arguments.batch_size,
        backend=arguments.backend,
        compile=arguments.compile,
        stride=arguments.stride,
        palette=arguments.palette,
    )
    outcomes = explain_files(bundle, arguments.image, arguments.out, settings)
    progress = track(
        outcomes,
        "explaining",
        total=len(arguments.image),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    failures = 0
    for outcome in progress:
        failures += outcome.failed
        stream = sys.stderr if outcome.failed else sys.stdout
        line = outcome.summary if outcome.failed else f"{outcome.image}: {outcome.summary}"
        print(line, file=stream, flush=True)
    print(f"maps and overlays are in {arguments.out}")
    return UNREADABLE_INPUTS if failures else 0
