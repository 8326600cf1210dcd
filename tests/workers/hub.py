"""A Hub that knows a few folders: just enough of its protocol for ``huggingface_hub`` to fetch one. Faults can be injected."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from inference import wire
from inference.manifest import FileEntry, release_digest

TOKEN = "opens-the-tests"


def entries_of(folder: Path) -> list[FileEntry]:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return [FileEntry(p.name, p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]


class Hub:
    """Serves ``folders`` by repository id, until ``close``. ``served`` counts the files that were sent in full."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}
        self.served = 0
        self.gate = threading.Event()  # no file is sent while it is clear
        self.gate.set()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, repo_id: str, folder: Path) -> wire.ReleaseRef:
        self.folders[repo_id] = folder
        entries = entries_of(folder)
        size = sum(entry.size for entry in entries)
        return wire.ReleaseRef(
            digest=release_digest(entries), repo_id=repo_id, endpoint=self.url, token=TOKEN, size=size
        )

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0].strip("/")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, b"{}", {"X-Error-Code": "GatedRepo"}, with_body)
        elif path.startswith("api/models/"):
            self._describe(path.removeprefix("api/models/"), with_body)
        else:
            self._file(path, with_body)

    def _describe(self, path: str, with_body: bool) -> None:
        repo_id = "/".join(path.split("/")[:2])
        folder = self.hub.folders.get(repo_id)
        if folder is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, with_body)
            return
        entries = entries_of(folder)
        sha = release_digest(entries).removeprefix("sha256:")[:40]
        if "/tree/" in path:
            body: object = [
                {"type": "file", "path": e.path, "size": e.size, "oid": e.sha256, "lfs": _lfs(e)} for e in entries
            ]
        else:
            siblings = [{"rfilename": e.path, "size": e.size, "blobId": e.sha256, "lfs": _lfs(e)} for e in entries]
            body = {"id": repo_id, "modelId": repo_id, "sha": sha, "private": False, "siblings": siblings}
        self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"}, with_body)

    def _file(self, path: str, with_body: bool) -> None:
        repo_id, _, rest = path.partition("/resolve/")
        folder = self.hub.folders.get(repo_id)
        name = rest.partition("/")[2]
        if folder is None or not (folder / name).is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body)
            return
        data = (folder / name).read_bytes()
        sha = release_digest(entries_of(folder)).removeprefix("sha256:")[:40]
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        if with_body:
            self.hub.gate.wait()
            self.hub.served += 1
        headers = {"ETag": etag, "X-Linked-Etag": etag, "X-Linked-Size": str(len(data)), "X-Repo-Commit": sha}
        self._send(200, data, headers, with_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


def _lfs(entry: FileEntry) -> dict[str, object]:
    return {"oid": entry.sha256, "sha256": entry.sha256, "size": entry.size, "pointerSize": 134}
