"""A way to a server that is as slow as a test needs it, and counts what came through."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024


class Throttle:
    """Stands before ``url``. ``bytes_per_s`` is for each connection and can be changed while it runs."""

    def __init__(self, url: str, *, bytes_per_s: float) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self.bytes_per_s = bytes_per_s
        self.passed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)  # type: ignore[arg-type]
            threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, is_slow: bool) -> None:
        try:
            while data := source.recv(CHUNK_BYTES):
                target.sendall(data)
                if is_slow:
                    self.passed += len(data)
                    time.sleep(len(data) / self.bytes_per_s)
        except OSError:
            pass
        finally:
            for end in (source, target):
                end.close()
