"""The socket that the server listens on, had before its address is printed."""

import errno
import os
import socket

from inspection.review.errors import ServeError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ServeError, with the cure, if the address cannot be had."""
    if not 1 <= port <= 65535:
        raise ServeError(f"--port must be 1 to 65535, not {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ServeError(
            f"--host {host}: no such name here; give 127.0.0.1, or an address of this machine"
        ) from error
    try:
        return socket.create_server(address[:2], family=family, backlog=2048)
    except PermissionError as error:
        raise ServeError(
            f"--port {port}: ports below 1024 need an administrator; give a higher one"
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(
                f"--port {port}: in use by another program, perhaps an earlier server; "
                "give another --port, or end that one"
            ) from error
        raise ServeError(
            f"--host {host}: cannot be listened on ({os.strerror(error.errno or 0)}); "
            "give 127.0.0.1, or an address of this machine"
        ) from error
