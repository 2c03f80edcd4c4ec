"""What `sise blocks` prints: the blocks of a network, and what explaining them costs."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from torch import nn

from sise import bundle as bundles
from sise.architectures import build_network
from sise.blocks import Block, measure_blocks
from sise.errors import SiseError
from sise.progress import table_console


def network_of(
    bundle: Path | None, architecture: str | None, size: Sequence[int] | None
) -> tuple[nn.Module, tuple[int, int]]:
    """The bundle's model, or the architecture untrained, and the image size (H, W).

    The size defaults to the bundle's input size, or 256×256. Raises SiseError unless exactly
    one of the two is given, and BundleError for one that cannot be read or is not known.
    """
    given = None if size is None else (size[0], size[1])
    if bundle is not None and architecture is None:
        loaded = bundles.load(bundle)
        return loaded.model, given or loaded.card.input_size
    if architecture is not None and bundle is None:
        return build_network(architecture, 1000), given or (256, 256)
    raise SiseError("give either --bundle or --architecture")


def as_json(blocks: Sequence[Block]) -> str:
    """An object with `blocks` (name, maps, height, width, stride) and the total of `maps`."""
    rows = [
        {
            "name": block.layer.name,
            "maps": block.maps,
            "height": block.size[0],
            "width": block.size[1],
            "stride": list(block.stride),
        }
        for block in blocks
    ]
    content = {"blocks": rows, "maps": sum(block.maps for block in blocks)}
    return json.dumps(content, indent=2, allow_nan=False)


def show(blocks: Sequence[Block]) -> None:
    """Print a table on stdout, and what an exact explanation costs at most."""
    table = Table("block", "shape (N, h, w)", "stride", "maps", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for block in blocks:
        shape = f"{block.maps}×{block.size[0]}×{block.size[1]}"
        table.add_row(block.layer.name, shape, stride_text(block), f"{block.maps}")
    console = table_console()
    console.print(table)
    total = sum(block.maps for block in blocks)
    console.print(f"{total} maps, each one forward pass at most")


def stride_text(block: Block) -> str:
    """Pixels per feature-map location, as "32", or as "32×31.5" where the directions differ."""
    vertical, horizontal = (f"{round(stride, 1):g}" for stride in block.stride)
    return vertical if vertical == horizontal else f"{vertical}×{horizontal}"


def run(
    bundle: Path | None, architecture: str | None, size: Sequence[int] | None, in_json: bool
) -> None:
    """Find the blocks of a bundle or an architecture and print them. Raises SiseError."""
    model, images = network_of(bundle, architecture, size)
    blocks = measure_blocks(model, images)
    if in_json:
        print(as_json(blocks))
    else:
        show(blocks)
