"""A web process: uvicorn on a listening socket that it was handed, or on one of its own: ``python -m store.web [--fd N]``."""

from __future__ import annotations

import argparse
import asyncio
import socket

import uvicorn

from store import settings

POLL_S = 0.02  # uvicorn has no event for the last connection
LAST_REQUESTS_S = 1.0  # how long a client whose connection is open may still send a request to a process that goes
BACKLOG = 2048
KEEP_ALIVE_S = 75


class DrainingServer(uvicorn.Server):
    """Goes without a client noticing.

    uvicorn closes idle connections the moment it is told to stop; a request that is on its way then finds no answer. This one stops
    listening (siblings that share the socket go on), says ``Connection: close`` with every answer from now on, and closes after a
    moment what is idle still. Answers that are under way end first, streams too.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        deadline = asyncio.get_running_loop().time() + LAST_REQUESTS_S
        while self.server_state.connections and not self.force_exit and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_S)
        await super().shutdown(sockets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, help="a socket that listens already")
    fd = parser.parse_args().fd
    listener = (
        socket.socket(fileno=fd)
        if fd is not None
        else socket.create_server((settings.WEB_HOST, settings.WEB_PORT), backlog=BACKLOG)
    )
    config = uvicorn.Config(
        "store.asgi:application",
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # TRUSTED_PROXIES says how many are believed
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.WEB_DRAIN_S),
    )
    DrainingServer(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
