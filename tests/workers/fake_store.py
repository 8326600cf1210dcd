"""The part of a store that conversions and trainings need: files to fetch, and tus to send files to. Connections can be cut."""

from __future__ import annotations

import base64
import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "gsu_of_a_test"


class FakeStore:
    """Serves ``source``, and under ``/blobs/`` whatever was put or sent, by its SHA-256. What is sent is kept in ``files`` by name."""

    def __init__(self, source: bytes = b"") -> None:
        self.source = source
        self.files: dict[str, bytearray] = {}
        self.blobs: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.organizations: set[str] = set()
        self.known: set[str] = set()  # names of files whose content is there already
        self.cuts = 0  # PATCH requests that still break in the middle
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, data: bytes) -> str:
        """Returns its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        return sha256

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, store: FakeStore, *args: Any) -> None:
        self.store = store
        super().__init__(*args)

    def log_message(self, *args: Any) -> None: ...

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(401)
        folder, _slash, sha256 = self.path.rpartition("/")
        if folder == "/blobs":
            data = self.store.blobs.get(sha256)
            return self.answer(404) if data is None else self.answer(200, data)
        return self.answer(200, self.store.source)

    def do_POST(self) -> None:
        pairs = (pair.split(" ") for pair in self.headers["Upload-Metadata"].split(","))
        fields = {name: base64.b64decode(value).decode() for name, value in pairs}
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(403, b"no")
        name, size = fields["filename"], int(self.headers["Upload-Length"])
        self.store.organizations.add(fields["organization"])
        self.store.files[name], self.store.sizes[name] = bytearray(), size
        offset = size if name in self.store.known else 0
        return self.answer(201, Location=f"/uploads/{name}", Upload_Offset=str(offset))

    def do_HEAD(self) -> None:
        name = self.path.removeprefix("/uploads/")
        self.answer(200, Upload_Offset=str(len(self.store.files[name])))

    def do_PATCH(self) -> None:
        name, length = self.path.removeprefix("/uploads/"), int(self.headers["Content-Length"])
        kept = self.store.files[name]
        if int(self.headers["Upload-Offset"]) != len(kept):
            return self.answer(409)
        if self.store.cuts:
            self.store.cuts -= 1
            kept += self.rfile.read(length // 2)
            self.close_connection = True
            return None
        kept += self.rfile.read(length)
        self.store.put(bytes(kept))
        return self.answer(204, Upload_Offset=str(len(kept)))
