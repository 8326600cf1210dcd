"""A client of the upload protocol that can do everything wrong."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
from urllib.parse import urlsplit

import httpx

MB = 1024 * 1024
TUS = {"Tus-Resumable": "1.0.0"}


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that look like weights; never the first bytes of a pickle or an archive."""
    return b"\x10" + random.Random(seed).randbytes(size - 1)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def metadata(**fields: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items())


def checksum(data: bytes, algorithm: str = "sha256") -> dict[str, str]:
    digest = hashlib.new(algorithm, data).digest()
    return {"Upload-Checksum": f"{algorithm} {base64.b64encode(digest).decode()}"}


class TusClient:
    """Speaks to a store at ``url`` as the bearer of ``token``."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=90)
        self.url = url

    def create(self, organization: str, size: int, *, name: str = "model.safetensors", **fields: str) -> httpx.Response:
        said = metadata(organization=organization, filename=name, **fields)
        return self.http.post("/uploads", headers={**TUS, "Upload-Length": str(size), "Upload-Metadata": said})

    def link(self, organization: str, size: int, *, name: str = "model.safetensors", **fields: str) -> str:
        made = self.create(organization, size, name=name, **fields)
        assert made.status_code == 201, made.text
        return made.headers["Location"]

    def patch(self, link: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
        own = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        return self.http.patch(link, content=data, headers={**TUS, **own, **headers})

    def head(self, link: str) -> httpx.Response:
        return self.http.head(link, headers=TUS)

    def offset(self, link: str) -> int:
        answer = self.head(link)
        assert answer.status_code == 200, answer
        return int(answer.headers["Upload-Offset"])

    def delete(self, link: str) -> httpx.Response:
        return self.http.delete(link, headers=TUS)

    def begin_chunk(self, link: str, offset: int, length: int, sent: bytes, *extra: str) -> socket.socket:
        """A PATCH of ``length`` bytes of which only ``sent`` are sent. The connection is the caller's to close."""
        where = urlsplit(self.url)
        assert where.port
        connection = socket.create_connection((where.hostname, where.port), timeout=90)
        head = [
            f"PATCH {link} HTTP/1.1",
            "Host: test",
            "Tus-Resumable: 1.0.0",
            "Content-Type: application/offset+octet-stream",
            f"Upload-Offset: {offset}",
            f"Content-Length: {length}",
            *extra,
        ]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + sent)
        return connection
