"""`sise blocks`: the layers that SISE explains."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Print the convolutional blocks of a network, which SISE explains: name, "
        "shape, stride and number of feature maps of the last layer of each."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    options.add_argument(
        "--bundle", type=Path | None, default=None, help="folder of the model bundle"
    )
    options.add_argument(
        "--architecture",
        type=str | None,
        default=None,
        help="or the name of a torchvision classifier, such as resnet101",
    )
    options.add_argument(
        "--size",
        type=PositiveInt,
        nargs=2,
        metavar=("H", "W"),
        default=None,
        help="of the image, in pixels; the bundle's input size, or 256 256, if left out",
    )
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return options


def run(arguments: Namespace) -> int:
    from sise import blocks_report

    blocks_report.run(arguments.bundle, arguments.architecture, arguments.size, arguments.json)
    return 0
