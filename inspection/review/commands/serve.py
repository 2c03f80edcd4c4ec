"""`serve`: the review in a browser."""

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import add_path
from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Serve registered batches, their reports and the review. Beyond loopback people must say "
        "who they are, or know a token; put a proxy with TLS in front."
    )
    made.add_argument("--host", type=str, default="127.0.0.1", help="address to listen on")
    made.add_argument("--port", type=int, default=8765, help="port to listen on")
    made.add_argument("--language", type=str, default="en", help="language of the pages: en, de")
    add_path(
        made,
        "--token-file",
        "text file with the token that opens the server, at least 16 characters",
    )
    add_path(
        made, "--users", "file of those who sign in by password (defect-inspect review user add)"
    )
    add_path(made, "--oidc", "YAML or JSON file that describes an OpenID provider to sign in at")
    add_path(made, "--hand-over", "folder to write releases into, for another program")
    made.add_argument(
        "--proxy-header",
        type=str,
        default="",
        help="header in which a trusted proxy names the user, as X-Remote-User",
    )
    made.add_argument(
        "--proxy-role-header",
        type=str,
        default="",
        help="header in which it gives the role: reviewer; anything else is a viewer",
    )
    made.add_argument(
        "--trusted-proxy",
        type=str,
        nargs="*",
        default=[],
        help="addresses or networks whose word is taken (X-Forwarded-For, X-Forwarded-Proto, "
        "--proxy-header); 127.0.0.1 always for the former two",
    )
    return made


def run(arguments: Namespace) -> int:
    """Serve until Ctrl-C."""
    from inspection.review.database import open_database
    from inspection.review.server.access import access_for
    from inspection.review.server.listen import listen
    from inspection.words import catalogue

    catalogue(arguments.language)
    access = access_for(
        arguments.host,
        token_file=arguments.token_file,
        users=arguments.users,
        proxy_header=arguments.proxy_header,
        proxy_role_header=arguments.proxy_role_header,
        trusted=arguments.trusted_proxy,
        oidc=arguments.oidc,
    )
    listening = listen(arguments.host, arguments.port)
    database = open_database(arguments.db, create=True)

    import uvicorn

    from inspection.review.server.app import make_app
    from sise.progress import note

    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    app = make_app(database, access, arguments.language, arguments.hand_over)
    # The application itself reads what proxies say, after it has kept the connection's address.
    config = uvicorn.Config(app, log_level="warning", proxy_headers=False)
    note(f"http://{host}:{arguments.port} (Ctrl-C ends)")
    uvicorn.Server(config).run(sockets=[listening])
    return 0
