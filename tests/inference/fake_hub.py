"""A Hub of the standard library: enough of its protocol for ``snapshot_download``, and faults on request."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMIT = "c0ffee" * 6 + "abcd"
TOKEN = "secret"


class FakeHub:
    """Serves the files of a folder as ``acme/bard`` at one revision."""

    def __init__(self, folder: Path, revision: str) -> None:
        self.files = {item.name: item.read_bytes() for item in folder.iterdir()}
        self.revision = revision
        self.requests: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.cut: dict[str, int] = {}  # file -> bytes after which the connection breaks, once
        self.down = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def tree(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "file",
                "path": name,
                "size": len(data),
                "oid": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            }
            for name, data in self.files.items()
        ]


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, hub: FakeHub, *args: Any) -> None:
        self.hub = hub
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        hub, path = self.hub, unquote(self.path.split("?")[0])
        hub.requests[f"{self.command} {path}"] += 1
        if hub.down:
            return self.send_error(503)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send_error(401)
        if path == f"/api/models/acme/bard/revision/{hub.revision}":
            siblings = [{"rfilename": name} for name in hub.files]
            return self.send_json({"id": "acme/bard", "sha": COMMIT, "siblings": siblings})
        if path == f"/api/models/acme/bard/tree/{COMMIT}":
            return self.send_json(hub.tree())
        file = re.fullmatch(rf"/acme/bard/resolve/{COMMIT}/(.+)", path)
        if file and file[1] in hub.files:
            return self.send_file(file[1], body=body)
        return self.send_error(404)

    def send_json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_file(self, name: str, *, body: bool) -> None:
        data, start = self.hub.files[name], 0
        wanted = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", ""))
        if wanted:
            self.hub.ranges.append(wanted[0])
            start = int(wanted[1])
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if body:
            self.wfile.write(data[start : self.hub.cut.pop(name, len(data))])
            self.close_connection = True
