"""`sise explain`: maps and overlays of images."""

import sys
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, PositiveInt

from sise.choices import Continuation, Evidence, FillName, Fusion
from sise.commands.options import UNREADABLE_INPUTS
from sise.registry import METHODS

OPTIONS_OF_METHODS = (
    "mu",
    "budget",
    "fill",
    "context",
    "evidence",
    "output",
    "fusion",
    "layers",
    "precision",
    "batch_size",
    "backend",
    "compile",
)


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Explain the class that a model bundle gives to each image, a crop or a "
        "whole strip. Writes NAME_map.npy, NAME_map.png, NAME_overlay.png and NAME.json. An option "
        "of a method that is left out, or null, is as the method has it."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    options.add_argument("--bundle", type=Path, required=True, help="folder of the model bundle")
    options.add_argument(
        "--image", type=Path, nargs="+", required=True, help="image files, JPEG or PNG"
    )
    options.add_argument("--out", type=Path, required=True, help="folder to write to")
    options.add_argument(
        "--method",
        type=str,
        default="sise",
        metavar="NAME[:OPTION=VALUE,…]",
        help=f"how to explain, with the method's own options, such as rise:n_masks=2000; "
        f"one of {', '.join(METHODS)}",
    )
    options.add_argument(
        "--target",
        type=str | None,
        default=None,
        help="class to explain, by name or index; the predicted one if left out",
    )
    options.add_argument(
        "--mu",
        type=Literal["otsu"] | NonNegativeFloat | None,
        default=None,
        help="μ of SISE: 0, the paper's, scores every mask of positive gradient; above it fewer; "
        "otsu is Ada-SISE",
    )
    options.add_argument(
        "--budget",
        type=Literal["auto"] | PositiveInt | None,
        default=None,
        help="forward passes per tile of SISE, at most; auto: until the map has settled; "
        "if left out, as in the paper, every mask is scored",
    )
    options.add_argument(
        "--fill",
        type=FillName | None,
        metavar="{grey,mean,blur,inpaint}",
        default=None,
        help="what a method puts where pixels are masked out; grey is SISE's in the paper",
    )
    options.add_argument(
        "--context",
        type=Continuation | None,
        metavar="{reflect,edge}",
        default=None,
        help="how the image goes on around its border while SISE's masks are made (docs/steel.md); "
        "if left out, as in the paper, it does not",
    )
    options.add_argument(
        "--evidence",
        type=Evidence | None,
        metavar="{kept,removed,both,none}",
        default=None,
        help="what a mask of SISE is worth: the class's probability on what it keeps, as in the "
        "paper, or what the class loses when that is removed; both: their mean, two passes a mask; "
        "none: all masks count alike",
    )
    options.add_argument(
        "--output",
        type=Literal["softmax", "sigmoid", "probabilities"] | None,
        metavar="{softmax,sigmoid,probabilities}",
        default=None,
        help="what makes probabilities of the model's logits: softmax, unless told; sigmoid for "
        "multi-label models and for one output; probabilities: the model's numbers are some",
    )
    options.add_argument(
        "--fusion",
        type=Fusion | None,
        metavar="{hard,soft,geometric}",
        default=None,
        help="how SISE fuses layers: hard, the paper's, unless told; soft, the authors' later "
        "code; geometric: where all layers agree",
    )
    options.add_argument(
        "--layers",
        type=str,
        nargs="+",
        default=None,
        help="modules to explain; if left out, the network's blocks, or the last for a CAM",
    )
    options.add_argument(
        "--precision",
        type=Literal["auto", "fp64", "fp32", "bf16"] | None,
        metavar="{auto,fp64,fp32,bf16}",
        default=None,
        help="of the scored passes; auto, unless told: bf16 where the hardware has it",
    )
    options.add_argument(
        "--batch-size",
        type=Literal["auto"] | PositiveInt | None,
        default=None,
        help="masked images per pass; auto, unless told",
    )
    options.add_argument(
        "--backend",
        type=Literal["torch", "openvino"] | None,
        metavar="{torch,openvino}",
        default=None,
        help="what runs the scored passes: torch, unless told; openvino, an extra, is the fastest "
        "on a processor",
    )
    options.add_argument(
        "--compile",
        type=bool | None,
        metavar="{true,false}",
        default=None,
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
    from rich.console import Console
    from rich.progress import track

    from sise import bundle as bundles
    from sise.devices import choose_device
    from sise.explain_files import Settings, explain_files, spec_of
    from sise.outputs import check_apart

    given = {name: arguments[name] for name in OPTIONS_OF_METHODS}
    settings = Settings(
        method=arguments.method,
        target=arguments.target,
        options={name: value for name, value in given.items() if value is not None},
        stride=arguments.stride,
        palette=arguments.palette,
    )
    spec_of(settings)  # which complains now, before the model is loaded
    check_apart(arguments.out, [arguments.bundle])
    bundle = bundles.load(arguments.bundle, choose_device(arguments.device))
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
    if failures < len(arguments.image):
        print(f"maps and overlays are in {arguments.out}")
    return UNREADABLE_INPUTS if failures else 0
