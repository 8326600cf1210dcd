"""What a training carries: from the store what it needs, to the store what it made."""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference import wire
from inference.errors import InferenceError
from inference.manifest import hash_file
from inference.receiving import receive_file
from inference.sending import send_file
from inference.training.task import DataFile


def fetch_data(ref: wire.DataRef, folder: Path, is_stopped: Callable[[], bool]) -> DataFile:
    """Raises what :func:`inference.receiving.receive_file` raises."""
    folder.mkdir()
    target = folder / "data"
    receive_file(target, url=ref.url, token=ref.token, sha256=ref.sha256, size=ref.size, is_stopped=is_stopped)
    return DataFile(path=target, filename=ref.filename, format=ref.format, mapping=ref.mapping)


def fetch_checkpoint(ref: wire.CheckpointRef, folder: Path, is_stopped: Callable[[], bool]) -> Path:
    """Raises what :func:`inference.receiving.receive_file` raises."""
    folder.mkdir()
    for path, sha256 in sorted(ref.files.items()):
        target = folder / Path(path).name
        receive_file(target, url=ref.url + sha256, token=ref.token, sha256=sha256, size=None, is_stopped=is_stopped)
    return folder


def send_folder(folder: Path, spec: wire.TuneSpec) -> dict[str, str]:
    """Sends the files of a folder; returns path -> sha256. Raises :class:`inference.errors.SendFailed` and :class:`OSError`."""
    paths = sorted(item for item in folder.iterdir() if item.name != "trainer_state.json")
    return {path.name: send_one(path, spec) for path in paths}


def send_one(path: Path, spec: wire.TuneSpec) -> str:
    """Sends a file; returns its SHA-256. Raises :class:`inference.errors.SendFailed` and :class:`OSError`."""
    entry = hash_file(path)
    send_file(path, entry, url=spec.upload_url, organization=spec.organization, token=spec.token)
    return entry.sha256


class Carrier:
    """Sends checkpoints while the training goes on, one after the other. ``on_sent`` hears each on this object's own thread.

    A checkpoint that cannot be sent is not reported: the next one may be. The newest folder stays, for a child that has to begin again.
    """

    def __init__(self, spec: wire.TuneSpec, on_sent: Callable[[wire.Checkpoint], None]) -> None:
        self._spec = spec
        self._on_sent = on_sent
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.newest: Path | None = None
        self.sent: wire.Checkpoint | None = None  # the newest that the store has
        self.error: str = ""  # of the last that it has not
        self._is_dropping = False
        self._thread = threading.Thread(target=self._run, name="carrier", daemon=True)
        self._thread.start()

    def take(self, said: dict[str, Any]) -> None:
        """What the child said of a checkpoint."""
        self.newest = Path(said["folder"])
        self._waiting.put(said)

    def close(self, *, drop: bool = False) -> None:
        """Returns once all were sent, or given up; with ``drop``, what waits is not sent any more. Twice is once."""
        self._is_dropping = self._is_dropping or drop
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        last: Path | None = None
        while (said := self._waiting.get()) is not None and not self._is_dropping:
            folder = Path(said["folder"])
            try:
                files = send_folder(folder, self._spec)
            except (InferenceError, OSError) as error:
                self.error = str(error)
            else:
                self.error = ""
                fields = {name: said[name] for name in ("step", "trained_tokens", "model_files", "val_loss", "is_best")}
                self.sent = wire.Checkpoint(files=files, **fields)
                self._on_sent(self.sent)
            if last is not None:
                shutil.rmtree(last, ignore_errors=True)
            last = folder
