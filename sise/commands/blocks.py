"""`sise blocks`: the layers that SISE explains."""

from jsonargparse import ArgumentParser, Namespace

from sise.commands.options import add_network


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Print the convolutional blocks of a network, which SISE explains: name, "
        "shape, stride and number of feature maps of the last layer of each."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    add_network(options)
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return options


def run(arguments: Namespace) -> int:
    from sise import blocks_report

    blocks_report.run(arguments.bundle, arguments.architecture, arguments.size, arguments.json)
    return 0
