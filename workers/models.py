"""The models in this worker's memory: fetched, loaded, each with its engine and its queue, and sent away when others need the room.

An adapter is in memory beside its base, in the base's engine, and has no queue of its own: it comes by that of its base. It counts
by its bytes, is sent away like any model, whichever was used longest ago first, and goes when its base does.
"""

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
from inference.errors import InferenceError, NoRoom, UnsupportedModel
from inference.residency import Residency
from inference.tasks import EncoderEngine, load_engine
from inference.weights import pull_release
from workers import settings
from workers.queues import Queues

logger = logging.getLogger(__name__)

CPU_MEMORY_SHARE: Final = 0.5  # of the machine's memory, where MEMORY_LIMIT does not say
CUDA_MEMORY_SHARE: Final = 0.9
LEAST_ROOM_SHARE: Final = 0.05  # of the limit: with less, and nothing to send away, no new model is asked for
PULL_SHARE: Final = 0.9  # of the progress that is shown; the rest is reading the weights into memory
ROOM_POLL_S: Final = 0.25
AnyEngine = Engine | EncoderEngine


class ModelLoadFailed(Exception):
    """A release could not be fetched, or not be loaded here. ``code`` says why, where it is known; some are the same everywhere."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.code = cause.code if isinstance(cause, InferenceError) else "model_load_failed"


class _Rider:
    """An adapter in the engine of its base. Whoever uses it holds a lease of both."""

    has_work = False

    def __init__(self, engine: Engine, digest: str, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._engine = engine
        self._digest = digest

    def close(self) -> None:
        self._engine.remove_adapter(self._digest)


class Models:
    """Safe from any thread. ``sink`` hears all engines, each on its own thread."""

    def __init__(self, queues: Queues, sink: Callable[[list[Output]], None]) -> None:
        if settings.TORCH_THREADS:
            torch.set_num_threads(settings.TORCH_THREADS)
        self.device = _device()
        self._queues = queues
        self._sink = sink
        self._lock = threading.Lock()
        self._served: dict[str, tuple[AnyEngine, EngineLoop]] = {}  # by digest
        self._sizes: dict[str, int] = {}  # bytes in memory, of all that were ever loaded here
        self._riders: dict[str, str] = {}  # adapters that are, or may be, in memory: the digests of their bases
        self._progress: dict[str, float] = {}  # of those that load, 0 to 1
        self._residency: Residency[EngineLoop | _Rider] = Residency(
            settings.MEMORY_LIMIT or _memory_share(self.device), on_evict=self._withdraw, on_resident=self._offer
        )

    @contextmanager
    def lease(self, ref: wire.ReleaseRef, is_wanted: Callable[[], bool]) -> Iterator[EngineLoop]:
        """The engine of a release, for as long as the block lasts; it is loaded if it is not there. That of an adapter is its base's,
        which holds the adapter as long.

        While every other model is at work and there is no room, this waits, as long as ``is_wanted()``. Raises ModelLoadFailed.
        """
        host = ref.base or ref
        with ExitStack() as stack:
            loop = self._enter(stack, host, lambda: self._load(host), need=host.size, is_wanted=is_wanted)
            assert isinstance(loop, EngineLoop)
            if ref.base:
                with self._lock:
                    self._riders[ref.digest] = host.digest
                self._enter(stack, ref, lambda: self._add_adapter(ref, loop), need=ref.size, is_wanted=is_wanted)
            yield loop

    @contextmanager
    def reserve(self, name: str, need_bytes: int, is_wanted: Callable[[], bool]) -> Iterator[None]:
        """Keeps memory of the device free for a training. Waits while models that work are in the way, as long as ``is_wanted()``.

        Raises :class:`NoRoom`.
        """
        need_bytes = min(need_bytes, self.limit_bytes)  # what is more than all there is gets all there is
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(self._residency.reserve(name, need_bytes))
                    break
                except NoRoom:
                    if not is_wanted():
                        raise
                    time.sleep(ROOM_POLL_S)
            yield

    def folders(self, ref: wire.ReleaseRef) -> tuple[Path, Path | None]:
        """The files of a release and of its base; fetched if they are not there. Raises what :func:`pull_release` raises."""
        base = self._pull(ref.base) if ref.base else None
        return self._pull(ref), base

    def adapter_bytes(self, ref: wire.ReleaseRef) -> int:
        """What an adapter in memory takes there; of full weights 0."""
        return self._sizes.get(ref.digest, 0) if ref.base else 0

    def progress(self, ref: wire.ReleaseRef) -> float:
        """How far a release is on its way into memory, its base included, 0 to 1."""
        own = self._progress.get(ref.digest, 0.0)
        if ref.base is None:
            return own
        base = 1.0 if ref.base.digest in self._served else self._progress.get(ref.base.digest, 0.0)
        return (own * ref.size + base * ref.base.size) / max(ref.total_size, 1)

    def drop_dead(self) -> None:
        """Unloads engines that have failed: the next call for their release loads a new one."""
        with self._lock:
            dead = [digest for digest, (_engine, loop) in self._served.items() if not loop.alive]
        for digest in dead:
            self._residency.evict(digest)

    @property
    def resident(self) -> tuple[str, ...]:
        """Digests of what has an engine, and a queue, here."""
        return tuple(digest for digest in self._residency.resident if digest not in self._riders)

    @property
    def loading(self) -> tuple[str, ...]:
        return tuple(digest for digest in self._residency.loading if digest not in self._riders)

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
        idle = self._residency.evict_candidates()
        return free >= LEAST_ROOM_SHARE * self.limit_bytes or any(digest not in self._riders for digest in idle)

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

    def _engines(self) -> list[AnyEngine]:
        with self._lock:
            return [engine for engine, _loop in self._served.values()]

    def _enter(
        self,
        stack: ExitStack,
        ref: wire.ReleaseRef,
        load: Callable[[], EngineLoop | _Rider],
        *,
        need: int,
        is_wanted: Callable[[], bool],
    ) -> EngineLoop | _Rider:
        """``need``: bytes of memory that are expected, where it was never there before."""
        while True:
            need = self._sizes.get(ref.digest, need)
            least = need + (self._sizes.get(ref.base.digest, 0) if ref.base else 0)
            try:
                return stack.enter_context(self._residency.lease(ref.digest, load, need_bytes=need))
            except NoRoom as error:
                self._forget(ref.digest)
                if least > self.limit_bytes or not self.resident or not is_wanted():
                    raise ModelLoadFailed(error) from error
                time.sleep(ROOM_POLL_S)
            except Exception as error:
                logger.warning("%s could not be loaded: %s: %s", ref.repo_id, type(error).__name__, error)
                raise ModelLoadFailed(error) from error

    def _load(self, ref: wire.ReleaseRef) -> EngineLoop:
        """Fetches and loads a release of full weights. Raises whatever can go wrong with files, networks and memory."""
        began = time.monotonic()
        with self._pulled(ref) as folder:
            engine = load_engine(
                folder,
                device=self.device,
                dtype=settings.DTYPE,
                max_batch=settings.MAX_BATCH,
                max_step_tokens=settings.MAX_STEP_TOKENS,
            )
        loop = EngineLoop(engine, self._sink)
        with self._lock:
            self._served[ref.digest] = (engine, loop)
            self._sizes[ref.digest] = engine.memory_bytes
        logger.info(
            "%s is in memory after %.1f s, %d bytes", ref.repo_id, time.monotonic() - began, engine.memory_bytes
        )
        return loop

    def _add_adapter(self, ref: wire.ReleaseRef, loop: EngineLoop) -> _Rider:
        """Fetches an adapter, and adds it to the engine of its base. Raises whatever can go wrong with files, networks and memory."""
        began = time.monotonic()
        engine = loop.engine
        if not isinstance(engine, Engine):
            raise UnsupportedModel(f"{ref.repo_id} is an adapter of a model that takes none")
        with self._pulled(ref) as folder:
            memory_bytes = engine.add_adapter(ref.digest, folder)
        with self._lock:
            self._sizes[ref.digest] = memory_bytes
        logger.info("%s is on its base after %.2f s, %d bytes", ref.repo_id, time.monotonic() - began, memory_bytes)
        return _Rider(engine, ref.digest, memory_bytes)

    @contextmanager
    def _pulled(self, ref: wire.ReleaseRef) -> Iterator[Path]:
        """The files of a release; the progress that is told goes on until the block ends, in which they are read."""
        self._progress[ref.digest] = 0.0
        try:
            folder = self._pull(ref)
            self._progress[ref.digest] = PULL_SHARE
            yield folder
        finally:
            self._progress.pop(ref.digest, None)

    def _pull(self, ref: wire.ReleaseRef) -> Path:
        def tell(share: float) -> None:
            if ref.digest in self._progress:
                self._progress[ref.digest] = share * PULL_SHARE

        return pull_release(ref, settings.WEIGHTS_DIR, on_progress=tell)

    def _offer(self, digest: str) -> None:
        if digest not in self._riders:
            self._queues.want(wire.serve_queue(digest))

    def _withdraw(self, digest: str) -> None:
        """Before a model goes: no message may come for it any more, and its adapters go first."""
        if digest in self._riders:
            return
        self._queues.leave(wire.serve_queue(digest))
        self._forget(digest)
        with self._lock:
            riders = [rider for rider, host in self._riders.items() if host == digest]
        for rider in riders:
            self._residency.evict(rider)
            self._riders.pop(rider)

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
