"""A Hub of the standard library with data sets: enough of its protocol for ``datasets.load_dataset_builder`` and streaming; and faults."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" * 6 + "abcd"


class DatasetHub:
    """``repos``: name -> path -> content. ``down``: every answer is a 503; ``waits``: contents below ``data/`` come when it is set."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.tokens: set[str] = set()
        self.down = False
        self.waits = threading.Event()
        self.waits.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.waits.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: DatasetHub, *args: Any) -> None:
        self.hub = hub
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = re.fullmatch(r"/api/datasets/(.+)/paths-info/\w+", unquote(urlsplit(self.path).path))
        files = self.hub.repos.get(found[1]) if found else None
        if files is None:
            return self._missing("RepoNotFound")
        return self._json([_entry(files, path) for path in parse_qs(body.decode())["paths"] if path in files])

    def do_GET(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        url = urlsplit(self.path)
        path = unquote(url.path)
        if self.hub.down:
            return self._json({"error": "away"}, status=503)
        if found := re.fullmatch(r"/datasets/(.+)/resolve/(\w+)/(.+)", path):
            known = found[2] in ("main", COMMIT)
            return self._content(found[1], found[3]) if known else self._missing("RevisionNotFound")
        if found := re.fullmatch(r"/api/datasets/(.+)/tree/\w+(?:/(.*))?", path):
            files = self.hub.repos.get(found[1])
            return self._json(_tree(files, found[2] or "")) if files else self._missing("RepoNotFound")
        if found := re.fullmatch(r"/api/datasets/(.+?)(?:/revision/(\w+))?", path):
            files = self.hub.repos.get(found[1])
            if files is None:
                return self._missing("RepoNotFound")
            if found[2] not in (None, "main", COMMIT):
                return self._missing("RevisionNotFound")
            return self._json({"id": found[1], "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})
        return self._missing("EntryNotFound")

    def _content(self, repo: str, path: str) -> None:
        data = self.hub.repos.get(repo, {}).get(path)
        if repo not in self.hub.repos or data is None:
            return self._missing("EntryNotFound" if repo in self.hub.repos else "RepoNotFound")
        if path.startswith("data/"):
            self.hub.waits.wait(60)
        first, part = 0, data
        if asked := re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first = int(asked[1])
            part = data[first : int(asked[2]) + 1 if asked[2] else len(data)]
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
        return self._body(part)

    def _json(self, said: Any, *, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self._body(json.dumps(said).encode())

    def _missing(self, code: str) -> None:
        self._json({"error": "not found"}, status=404, X_Error_Code=code)

    def _body(self, data: bytes) -> None:
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _entry(files: dict[str, bytes], path: str) -> dict[str, Any]:
    if path in files:
        oid = hashlib.sha1(files[path], usedforsecurity=False).hexdigest()
        return {"type": "file", "path": path, "size": len(files[path]), "oid": oid}
    return {"type": "directory", "path": path, "oid": "0" * 40}


def _tree(files: dict[str, bytes], folder: str) -> list[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    names = {prefix + path.removeprefix(prefix).split("/")[0] for path in files if path.startswith(prefix)}
    return [_entry(files, name) for name in sorted(names)]
