"""What the way in and out costs a large file: uploads beside the same disk's write and SHA-256 in one process, downloads beside a plain
static server, and how much the web process grows.

    python -m bench.upload [--gb 2] [--rounds 3]

One web process, one client, one machine, all bytes to the same disk and synchronised there. What belongs together takes turns round by
round, and the middle of the ratios counts.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.table import Table

from bench.stage import ROOT, Stage, free_port, wait_for_port

if TYPE_CHECKING:
    from store.accounts.models import User

MB = 1024 * 1024
CHUNK = 64 * MB  # of the upload in chunks
PIECE = MB  # of a write to the disk or to a socket
READ = 10 * MB  # of a download, as huggingface_hub reads
NAME = "model.safetensors"
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gb", type=float, default=2)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    chunks = max(1, round(asked.gb * 1e9 / CHUNK))
    table = Table("", "MB/s", "against", "MB/s", "ratio", "web process grows, MB")
    with Stage() as stage:
        stage.start_servers()
        sender = Sender(stage, chunks)
        disk = stage.data_dir / "plain"
        pairs: dict[str, list[tuple[float, float, float]]] = {}
        for _ in range(asked.rounds):
            for name, way in (("one stream", sender.stream), ("64 MB chunks, each with its SHA-256", sender.chunks)):
                plain = measured(lambda: write_and_hash(disk, chunks))
                with sender.growth() as grown:
                    pairs.setdefault(name, []).append((measured(way), plain, grown()))
        rate = chunks * CHUNK / 1e6
        for name, rounds in pairs.items():
            add_row(table, f"upload, {name}", "write + SHA-256", rounds, rate)
        rounds = [sender.downloads() for _ in range(asked.rounds)]
        add_row(table, "download by snapshot_download", "static server", rounds, rate)
    Console(width=130).print(table)


def add_row(table: Table, name: str, against: str, rounds: list[tuple[float, float, float]], mb: float) -> None:
    """``rounds`` are seconds of the store, seconds of what stands beside it, and MB by which the web process has grown."""
    own, other, grown = zip(*rounds, strict=True)
    ratio = median(plain / store for store, plain, _grown in rounds)
    table.add_row(
        name, f"{mb / median(own):,.0f}", against, f"{mb / median(other):,.0f}", f"{ratio:.2f}", f"{max(grown):.0f}"
    )


def measured(act: Callable[[], object]) -> float:
    """Seconds."""
    os.sync()  # what others have written is not to be paid for here
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


BLOCK = os.urandom(CHUNK)


def write_and_hash(path: Path, chunks: int) -> None:
    """What any program would do with the bytes in its own memory."""
    digest = hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        for _ in range(chunks):
            for begin in range(0, CHUNK, PIECE):
                piece = memoryview(BLOCK)[begin : begin + PIECE]
                file.write(piece)
                digest.update(piece)
        os.fsync(file.fileno())
    path.unlink()


class Sender:
    """A provider with an access token, before a store of its own."""

    def __init__(self, stage: Stage, chunks: int) -> None:
        from store.accounts.actions import become_provider, ensure_personal_organization
        from store.accounts.models import User
        from store.accounts.tokens import issue_token

        self.stage, self.count = stage, chunks
        self.user: User = User.objects.create_user("sender@example.com")
        self.organization = ensure_personal_organization(self.user)
        become_provider(organization=self.organization, user=self.user)
        self.secret = issue_token(user=self.user, name="bench", scopes=["read", "write"]).secret
        self.url = stage.start_web()
        self.rounds = 0

    def stream(self) -> None:
        """The whole file by one PATCH."""
        pieces = (
            memoryview(BLOCK)[begin : begin + PIECE] for _ in range(self.count) for begin in range(0, CHUNK, PIECE)
        )
        self._patch([(self.count * CHUNK, pieces)], {})

    def chunks(self) -> None:
        """The whole file by many PATCHes on one connection."""
        checksum = base64.b64encode(hashlib.sha256(BLOCK).digest()).decode()
        self._patch([(CHUNK, BLOCK)] * self.count, {"Upload-Checksum": f"sha256 {checksum}"})

    def _patch(self, bodies: Sequence[tuple[int, bytes | Iterator[memoryview]]], extra: dict[str, str]) -> None:
        """Each of ``bodies`` with its length in bytes. By a client that costs as little as one can."""
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=600, blocksize=PIECE)
        link, offset = self._begin(), 0
        for length, body in bodies:
            headers = {**TUS, "Upload-Offset": str(offset), "Content-Length": str(length), **extra}
            connection.request("PATCH", link, body=body, headers=headers)
            answer = connection.getresponse()
            assert answer.status == 204, answer.read()
            answer.read()
            offset += length
        connection.close()

    def downloads(self) -> tuple[float, float, float]:
        """Seconds of ``snapshot_download``, seconds of the static server, and by how many MB the web process has grown."""
        repo = self._commit()
        blob = next((self.stage.data_dir / "files" / "blobs").glob("*/*"))
        static = free_port()
        command = [
            sys.executable,
            "-m",
            "http.server",
            str(static),
            "--bind",
            "127.0.0.1",
            "--directory",
            str(blob.parent),
        ]
        self.stage.spawn("static", command)
        wait_for_port(static)
        target = self.stage.data_dir / "downloaded"
        plain = measured(lambda: fetch(f"http://127.0.0.1:{static}/{blob.name}", target))
        target.unlink()
        self.stage.processes.pop("static").kill()
        with self.growth() as grown:
            seconds = measured(lambda: self._snapshot(repo, target))
        shutil.rmtree(target)
        return seconds, plain, grown()

    @contextmanager
    def growth(self) -> Iterator[Callable[[], float]]:
        """How many MB more than at the beginning the web process has had in memory at most, asked for at any time."""
        status = Path(f"/proc/{self.stage.processes['web'].pid}/status")
        begin = peak = resident_mb(status)
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.05):
                peak = max(peak, resident_mb(status))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield lambda: peak - begin
        finally:
            ended.set()
            thread.join()

    def _begin(self) -> str:
        said = {"organization": self.organization.slug, "filename": NAME}
        pairs = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items())
        own = {"Upload-Length": str(self.count * CHUNK), "Upload-Metadata": pairs}
        headers = {**TUS, **own, "Authorization": f"Bearer {self.secret}"}
        answer = httpx.post(f"{self.url}/uploads", headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.headers["Location"]

    def _commit(self) -> str:
        """A private repository that holds the file."""
        from store.catalog.actions.repositories import AddFile, commit_files, create_listing
        from store.catalog.models import Blob

        self.rounds += 1
        listing = create_listing(organization=self.organization, user=self.user, slug=f"bench-{self.rounds}")
        changes = [AddFile(path=NAME, sha256=Blob.objects.get().sha256)]
        commit_files(listing=listing, user=self.user, changes=changes, title="The weights")
        return listing.name

    def _snapshot(self, repo: str, target: Path) -> None:
        """By the real client, in a process of its own."""
        code = "import sys; from huggingface_hub import snapshot_download; snapshot_download(sys.argv[1], local_dir=sys.argv[2])"
        environment = self.stage.plain_env() | {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.secret,
            "HF_HUB_DISABLE_XET": "1",
        }
        command = [sys.executable, "-c", code, repo, str(target)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


def resident_mb(status: Path) -> float:
    """Of a process, from its ``/proc/<pid>/status``."""
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def fetch(url: str, target: Path) -> None:
    """By a client that does nothing else."""
    with httpx.stream("GET", url, timeout=600) as answer, target.open("wb") as file:
        for piece in answer.iter_bytes(READ):
            file.write(piece)


if __name__ == "__main__":
    main()
