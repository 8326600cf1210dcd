"""The models in this worker's memory: fetched, loaded, each with its engine and its queue, and sent away when others need the room."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import torch

from inference import wire
from inference.engine import Engine, EngineLoop, Output
from inference.errors import InferenceError, NoRoom
from inference.residency import Residency
from inference.weights import pull_release
from workers import settings
from workers.queues import Queues

logger = logging.getLogger(__name__)

CPU_MEMORY_SHARE: Final = 0.5  # of the machine's memory, where MEMORY_LIMIT does not say
CUDA_MEMORY_SHARE: Final = 0.9
LEAST_ROOM_SHARE: Final = 0.05  # of the limit: with less, and nothing to send away, no new model is asked for
PULL_SHARE: Final = 0.9  # of the progress that is shown; the rest is reading the weights into memory
ROOM_POLL_S: Final = 0.25


class ModelLoadFailed(Exception):
    """A release could not be fetched, or not be loaded here. ``code`` says why, where it is known; some are the same everywhere."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.code = cause.code if isinstance(cause, InferenceError) else "model_load_failed"


class Models:
    """Safe from any thread. ``sink`` hears all engines, each on its own thread."""

    def __init__(self, queues: Queues, sink: Callable[[list[Output]], None]) -> None:
        if settings.TORCH_THREADS:
            torch.set_num_threads(settings.TORCH_THREADS)
        self.device = _device()
        self._queues = queues
        self._sink = sink
        self._lock = threading.Lock()
        self._served: dict[str, tuple[Engine, EngineLoop]] = {}  # by digest
        self._sizes: dict[str, int] = {}  # bytes in memory, of all that were ever loaded here
        self._progress: dict[str, float] = {}  # of those that load, 0 to 1
        self._residency: Residency[EngineLoop] = Residency(
            settings.MEMORY_LIMIT or _memory_share(self.device), on_evict=self._withdraw, on_resident=self._offer
        )

    @contextmanager
    def lease(self, ref: wire.ReleaseRef, is_wanted: Callable[[], bool]) -> Iterator[EngineLoop]:
        """The engine of a release, for as long as the block lasts; it is loaded if it is not there.

        While every other model is at work and there is no room, this waits, as long as ``is_wanted()``. Raises ModelLoadFailed.
        """
        with ExitStack() as stack:
            yield self._enter(stack, ref, is_wanted)

    def progress(self, digest: str) -> float:
        """How far a release is on its way into memory, 0 to 1."""
        return self._progress.get(digest, 0.0)

    def drop_dead(self) -> None:
        """Unloads engines that have failed: the next call for their release loads a new one."""
        with self._lock:
            dead = [digest for digest, (_engine, loop) in self._served.items() if not loop.alive]
        for digest in dead:
            self._residency.evict(digest)

    @property
    def resident(self) -> tuple[str, ...]:
        return self._residency.resident

    @property
    def loading(self) -> tuple[str, ...]:
        return self._residency.loading

    @property
    def memory_bytes(self) -> int:
        return self._residency.memory_bytes

    @property
    def limit_bytes(self) -> int:
        return self._residency.limit_bytes

    @property
    def has_room(self) -> bool:
        """Whether a model that is not here yet could come."""
        free = self.limit_bytes - self.memory_bytes
        return free >= LEAST_ROOM_SHARE * self.limit_bytes or bool(self._residency.evict_candidates())

    @property
    def running(self) -> int:
        """Attempts in the batches of all engines."""
        return sum(engine.running for engine in self._engines())

    @property
    def tokens_per_s(self) -> float:
        return sum(engine.tokens_per_s for engine in self._engines())

    def close(self) -> None:
        """Unloads everything, at work or not."""
        self._residency.close()

    def _engines(self) -> list[Engine]:
        with self._lock:
            return [engine for engine, _loop in self._served.values()]

    def _enter(self, stack: ExitStack, ref: wire.ReleaseRef, is_wanted: Callable[[], bool]) -> EngineLoop:
        while True:
            need = self._sizes.get(ref.digest, ref.size)
            try:
                return stack.enter_context(self._residency.lease(ref.digest, lambda: self._load(ref), need_bytes=need))
            except NoRoom as error:
                self._forget(ref.digest)
                if need > self.limit_bytes or not self.resident or not is_wanted():
                    raise ModelLoadFailed(error) from error
                time.sleep(ROOM_POLL_S)
            except Exception as error:
                logger.warning("%s could not be loaded: %s: %s", ref.repo_id, type(error).__name__, error)
                raise ModelLoadFailed(error) from error

    def _load(self, ref: wire.ReleaseRef) -> EngineLoop:
        """Fetches and loads a release. Raises whatever can go wrong with files, networks and memory."""
        began = time.monotonic()
        self._progress[ref.digest] = 0.0
        try:
            folder = self._pull(ref)
            self._progress[ref.digest] = PULL_SHARE
            engine = Engine.load(
                folder,
                device=self.device,
                dtype=settings.DTYPE,
                max_batch=settings.MAX_BATCH,
                max_step_tokens=settings.MAX_STEP_TOKENS,
            )
        finally:
            self._progress.pop(ref.digest, None)
        loop = EngineLoop(engine, self._sink)
        with self._lock:
            self._served[ref.digest] = (engine, loop)
            self._sizes[ref.digest] = engine.memory_bytes
        logger.info(
            "%s is in memory after %.1f s, %d bytes", ref.repo_id, time.monotonic() - began, engine.memory_bytes
        )
        return loop

    def _pull(self, ref: wire.ReleaseRef) -> Path:
        def tell(share: float) -> None:
            self._progress[ref.digest] = share * PULL_SHARE

        return pull_release(ref, settings.WEIGHTS_DIR, on_progress=tell)

    def _offer(self, digest: str) -> None:
        self._queues.want(wire.serve_queue(digest))

    def _withdraw(self, digest: str) -> None:
        """Before a model goes: no message may come for it any more."""
        self._queues.leave(wire.serve_queue(digest))
        self._forget(digest)

    def _forget(self, digest: str) -> None:
        with self._lock:
            self._served.pop(digest, None)


def _device() -> str:
    if settings.DEVICE != "auto":
        return settings.DEVICE
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _memory_share(device: str) -> int:
    """Bytes that the models may take in all."""
    if device.startswith("cuda"):
        _free, total = torch.cuda.mem_get_info(torch.device(device))
        return int(total * CUDA_MEMORY_SHARE)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * CPU_MEMORY_SHARE)
