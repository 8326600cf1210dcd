"""The listening socket that all web processes share."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

import psutil

from store import settings

ANY_HOST = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
BACKLOG = 2048


class PortTaken(Exception):
    """Somebody else listens there. The message names them where that can be found out."""


def listen(host: str, port: int) -> socket.socket:
    """Raises PortTaken, and OSError where the host is not ours."""
    try:
        listener = socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortTaken(
            f"Port {port} is taken{_by_whom(port)}. Stop it, or choose another: make up WEB_PORT={port + 1}"
        ) from None
    listener.set_inheritable(True)
    return listener


def local_address() -> tuple[str, int]:
    """Where this machine reaches the web processes, whatever the public address is."""
    return "127.0.0.1" if settings.WEB_HOST in ANY_HOST else settings.WEB_HOST, settings.WEB_PORT


def public_host() -> str:
    """The Host header of the public address."""
    return urlsplit(settings.PUBLIC_URL).netloc


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.laddr
                and connection.laddr.port == port
                and connection.status == psutil.CONN_LISTEN
                and connection.pid
            ):
                process = psutil.Process(connection.pid)
                return f" by {process.name()} (process {process.pid}: {' '.join(process.cmdline())[:80]})"
    except psutil.Error:  # other people's processes are not ours to look into
        pass
    return " by another program"
