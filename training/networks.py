"""`defect-train fit --list-architectures`: the networks that a recipe can name."""

from importlib.util import find_spec

from rich.table import Table

from sise.architectures import Architecture, Weightless, architectures, build_network
from sise.progress import note, table_console
from training.errors import RecipeError

COUNTED_AT_MOST = 40
"""Networks whose parameters are counted; each has to be built for that."""


def show(pattern: str = "*") -> None:
    """Print the networks whose names fit `pattern`, as `*lite*`, on stdout, one in a line.

    Of few networks, their millions of parameters too. Raises RecipeError if none fits.
    """
    listed = architectures(pattern)
    if not listed:
        raise RecipeError(
            f"no network is called {pattern}; put the pattern in quotes, '*lite*' say"
        )
    counted = len(listed) <= COUNTED_AT_MOST
    columns = ("network", "source", "imagenet", *(["parameters"] * counted))
    table = Table(*columns, box=None, pad_edge=False)
    for one in listed:
        millions = [f"{parameters(one.name) / 1e6:.1f} M"] if counted else []
        table.add_row(one.name, one.source, "yes" if one.pretrained else "no", *millions)
    table_console().print(table)
    note(_below(listed, counted))


def _below(listed: tuple[Architecture, ...], counted: bool) -> str:
    return "; ".join(
        [
            f"{len(listed)} networks; imagenet: --model.weights imagenet can download weights",
            "left out: what SISE cannot explain, as transformers",
            *([] if counted else ["parameters: give a pattern, '*lite*' say"]),
            *([] if find_spec("timm") else ['timm is missing: pip install "steel-sise[timm]"']),
        ]
    )


def parameters(architecture: str) -> int:
    """How many numbers the network learns, with 1000 classes."""
    with Weightless():
        network = build_network(architecture, 1000)
    return sum(parameter.numel() for parameter in network.parameters())
