"""`serve`: the review in a browser."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Serve registered batches, their reports and the review. Beyond loopback a token is "
        "needed; put a proxy with TLS in front."
    )
    made.add_argument("--host", type=str, default="127.0.0.1", help="address to listen on")
    made.add_argument("--port", type=int, default=8765, help="port to listen on")
    made.add_argument(
        "--token-file",
        type=Path | None,
        default=None,
        help="text file with the token that opens the server, at least 16 characters",
    )
    return made


def run(arguments: Namespace) -> int:
    """Serve until Ctrl-C."""
    from inspection.review.database import open_database
    from inspection.review.errors import ServeError
    from inspection.review.server.access import access_for

    access = access_for(arguments.host, arguments.token_file)
    if not 1 <= arguments.port <= 65535:
        raise ServeError(f"--port must be 1 to 65535, not {arguments.port}")
    database = open_database(arguments.db, create=True)

    import uvicorn

    from inspection.review.server.app import make_app
    from severstal_prep.console import note

    note(f"http://{arguments.host}:{arguments.port} (Ctrl-C ends)")
    uvicorn.run(
        make_app(database, access), host=arguments.host, port=arguments.port, log_level="warning"
    )
    return 0
