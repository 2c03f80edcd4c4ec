"""`serve`: the review in a browser."""

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import add_path
from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Serve registered batches, their reports and the review. Beyond loopback a token is "
        "needed; put a proxy with TLS in front."
    )
    made.add_argument("--host", type=str, default="127.0.0.1", help="address to listen on")
    made.add_argument("--port", type=int, default=8765, help="port to listen on")
    made.add_argument("--language", type=str, default="en", help="language of the pages: en, de")
    add_path(
        made,
        "--token-file",
        "text file with the token that opens the server, at least 16 characters",
    )
    return made


def run(arguments: Namespace) -> int:
    """Serve until Ctrl-C."""
    from inspection.review.database import open_database
    from inspection.review.server.access import access_for
    from inspection.review.server.listen import listen
    from inspection.words import catalogue

    catalogue(arguments.language)
    access = access_for(arguments.host, arguments.token_file)
    listening = listen(arguments.host, arguments.port)
    database = open_database(arguments.db, create=True)

    import uvicorn

    from inspection.review.server.app import make_app
    from sise.progress import note

    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    config = uvicorn.Config(make_app(database, access, arguments.language), log_level="warning")
    note(f"http://{host}:{arguments.port} (Ctrl-C ends)")
    uvicorn.Server(config).run(sockets=[listening])
    return 0
