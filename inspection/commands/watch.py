"""`defect-inspect watch`: inspect strips as a line writes them."""

from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from inspection.commands.options import add_settings, new_parser
from inspection.pipeline.settings import INSPECTING, Settings


def parser() -> ArgumentParser:
    """The options of the command."""
    options = new_parser(
        "Inspect strips as a line writes them into a folder, and write a report of each day. It "
        "goes on until it is stopped; the same command continues, with no strip lost or inspected "
        "twice. Exit codes: 2 wrong usage; 130, 143 stopped by Ctrl-C or SIGTERM, after the report "
        "of what was inspected is made."
    )
    options.add_argument(
        "folder", type=Path, help="folder that strips are written into; a folder in it is a coil"
    )
    add_settings(options, "bundle")
    options.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder to write to: reports by day, their strips, and the journal",
    )
    options.add_argument(
        "--settle",
        type=float,
        default=2.0,
        help="seconds for which a file's size and time must have been still",
    )
    options.add_argument(
        "--patience",
        type=float,
        default=60.0,
        help="seconds after which a still file that cannot be read counts as unreadable",
    )
    options.add_argument(
        "--strips",
        type=PositiveInt | None,
        default=None,
        help="strips of a batch at most, after which the day's next one begins",
    )
    options.add_argument(
        "--report-every",
        type=float,
        default=15.0,
        help="minutes between renewals of the report of the day",
    )
    options.add_argument(
        "--timezone",
        type=str | None,
        default=None,
        help="where a day begins at midnight, such as Europe/Vienna; this machine's if left out",
    )
    options.add_argument(
        "--port",
        type=int | None,
        default=None,
        help="answer /healthz and /metrics (Prometheus) on this port, such as 9464",
    )
    options.add_argument(
        "--host", type=str, default="127.0.0.1", help="address to answer on; anyone there may read"
    )
    options.add_argument(
        "--webhook",
        type=str | None,
        default=None,
        help="http or https address that alarms are sent to, as JSON",
    )
    options.add_argument(
        "--alarm",
        type=Literal["hold", "rework", "scrap", "any"],
        default="any",
        help="send an alarm if a rule proposes this disposition for a strip; any: other than "
        "accept",
    )
    add_settings(options, *INSPECTING)
    return options


def run(arguments: Namespace) -> int:
    """Watch until a signal comes. Raises an InspectionError, PrepError or SiseError."""
    from inspection.review.server.listen import listen
    from inspection.watch.alarms import Alarms, check_address
    from inspection.watch.health import Metrics, health, serve
    from inspection.watch.inspector import Inspector
    from inspection.watch.watcher import Clock, Options, Watcher, holding, zone
    from severstal_prep.remote import check_here
    from sise.outputs import check_apart
    from sise.progress import note

    check_here(arguments.folder, arguments.out)
    given = arguments.as_dict()
    options = Options(**{one.name: given[one.name] for one in fields(Options)})
    known = {one.name for one in fields(Settings)} & given.keys()
    settings = Settings(**{name: given[name] for name in known}, batch=options.folder.resolve())
    check_apart(options.out, [settings.bundle])
    clock = Clock(None if arguments.timezone is None else zone(arguments.timezone))
    url = arguments.webhook
    if url is not None:
        check_address(url)
    with holding(options), ExitStack() as stack:
        metrics = None
        if arguments.port is not None:
            metrics = Metrics()
            listening = stack.enter_context(listen(arguments.host, arguments.port))
        watcher = Watcher(options, Inspector(settings), clock)
        alarms = None
        if url is not None:
            alarms = Alarms(options.out / "alarms", url, arguments.alarm)
            watcher.alert = alarms.put
            alarms.start()
            stack.callback(alarms.stop)
        if metrics is not None:
            watcher.tell = metrics.count
            serve(listening, lambda: health(watcher, alarms), metrics)
        note(f"watching {options.folder}; Ctrl-C ends")
        watcher.run()
    return 0
