"""A load generator that costs little: raw HTTP/1.1 over kept connections.

    python -m bench.load URL CONCURRENCY SECONDS < request.json

reads ``{"headers": {...}, "body": {...}}`` and prints ``{"latencies_s": [...], "errors": {...}, "wall_s": ...}``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import uvloop


@dataclass
class Load:
    """What came of a load. ``errors``: status or exception, how often."""

    latencies_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0


async def run(url: str, headers: dict[str, str], body: dict[str, object], *, concurrency: int, seconds: float) -> Load:
    """``concurrency`` connections, each asking again as soon as it is answered."""
    parts = urlsplit(url)
    content = json.dumps(body).encode()
    head = {"Host": parts.netloc, "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    lines = [f"POST {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    request = "\r\n".join(lines).encode() + content
    load = Load()
    began = time.perf_counter()
    until = began + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(_client(parts.hostname or "", parts.port or 80, request, until, load))
    load.wall_s = time.perf_counter() - began
    return load


async def _client(host: str, port: int, request: bytes, until: float, load: Load) -> None:
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            while (began := time.perf_counter()) < until:
                writer.write(request)
                status = await _answer(reader)
                if status == b"200":
                    load.latencies_s.append(time.perf_counter() - began)
                else:
                    load.errors[status.decode()] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            load.errors[type(error).__name__] += 1
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Reads one answer; returns its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    at = head.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
    else:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    return head[9:12]


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    done = uvloop.run(
        run(sys.argv[1], asked["headers"], asked["body"], concurrency=int(sys.argv[2]), seconds=float(sys.argv[3]))
    )
    json.dump(asdict(done), sys.stdout)
