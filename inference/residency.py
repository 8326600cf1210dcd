"""Which models sit in the memory of one device. The least recently used makes room, and none that works is thrown out.

The lock is never held while a model loads, unloads, or a callback runs: an entry in between says so, and others wait for it only if
they want that very model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from inference.errors import NoRoom


class Resident(Protocol):
    """What can sit in memory; :class:`inference.engine.EngineLoop` is one."""

    @property
    def memory_bytes(self) -> int: ...

    @property
    def has_work(self) -> bool: ...

    def close(self) -> None: ...


R = TypeVar("R", bound=Resident)


@dataclass(slots=True, eq=False)
class _Entry(Generic[R]):
    state: Literal["loading", "ready", "leaving", "reserved"]
    bytes: int  # expected while loading, then what the resident says
    used: int = 0  # a tick of the clock of uses
    pins: int = 0
    resident: R | None = None


class Residency(Generic[R]):
    """Thread safe."""

    def __init__(
        self,
        limit_bytes: int,
        *,
        on_evict: Callable[[str], None] | None = None,
        on_resident: Callable[[str], None] | None = None,
    ) -> None:
        """``on_evict(digest)`` is called before a model is unloaded, ``on_resident(digest)`` after one was loaded."""
        self.limit_bytes = limit_bytes
        self._on_evict = on_evict or (lambda digest: None)
        self._on_resident = on_resident or (lambda digest: None)
        self._changed = threading.Condition()
        self._entries: dict[str, _Entry[R]] = {}
        self._clock = 0

    @property
    def resident(self) -> tuple[str, ...]:
        """Digests that can be used now."""
        return self._in_state("ready")

    @property
    def loading(self) -> tuple[str, ...]:
        return self._in_state("loading")

    @property
    def memory_bytes(self) -> int:
        """Bytes in use, those of a model that is loading included."""
        with self._changed:
            return self._used()

    def evict_candidates(self) -> list[str]:
        """Digests that could go now, the one used longest ago first."""
        with self._changed:
            return self._idle()

    def get(self, digest: str, loader: Callable[[], R], *, need_bytes: int = 0) -> R:
        """The resident of a digest, loaded if it is not there. One thread loads it; others that want it wait.

        ``need_bytes``: about what it will take, so that room is made before it loads. It may be evicted as soon as it has no
        work: see :meth:`lease`. Raises :class:`NoRoom`, and whatever ``loader`` raises.
        """
        with self.lease(digest, loader, need_bytes=need_bytes) as resident:
            return resident

    @contextmanager
    def lease(self, digest: str, loader: Callable[[], R], *, need_bytes: int = 0) -> Iterator[R]:
        """As :meth:`get`, and it stays at least until the block ends."""
        entry = self._enter(digest, need_bytes)
        try:
            if entry.state == "loading":
                self._load(digest, entry, loader)
            assert entry.resident is not None  # it is ready, and pinned by us
            yield entry.resident
        finally:
            with self._changed:
                entry.pins -= 1
                self._changed.notify_all()

    @contextmanager
    def reserve(self, name: str, need_bytes: int) -> Iterator[None]:
        """Keeps memory free for something that is no resident, until the block ends. Raises :class:`NoRoom`."""
        with self._changed:
            self._entries[name] = _Entry(state="reserved", bytes=need_bytes)
        try:
            self._make_room(name)
            yield
        finally:
            with self._changed:
                del self._entries[name]
                self._changed.notify_all()

    def evict(self, digest: str) -> bool:
        """Unloads a model. Returns False where it works, or is not there."""
        with self._changed:
            entry = self._entries.get(digest)
            if entry is None or not _is_idle(entry):
                return False
            entry.state = "leaving"
        try:
            self._on_evict(digest)
        except BaseException:
            self._settle(digest, entry, leaves=False)
            raise
        # Whoever got it without a lease may have given it work in the meantime.
        leaves = entry.resident is not None and not entry.resident.has_work
        try:
            if leaves and entry.resident is not None:
                entry.resident.close()
        finally:
            self._settle(digest, entry, leaves=leaves)
        if not leaves:
            self._on_resident(digest)
        return leaves

    def close(self) -> None:
        """Unloads everything, at work or not; for the end of the process."""
        with self._changed:
            entries, self._entries = self._entries, {}
        for entry in entries.values():
            if entry.resident is not None:
                entry.resident.close()

    def _enter(self, digest: str, need_bytes: int) -> _Entry[R]:
        """Pins the entry that is ready, or a new one which the caller must load."""
        with self._changed:
            while (entry := self._entries.get(digest)) is not None:
                if entry.state == "ready":
                    self._clock += 1
                    entry.used = self._clock
                    entry.pins += 1
                    return entry
                self._changed.wait()
            self._clock += 1
            entry = self._entries[digest] = _Entry(state="loading", bytes=need_bytes, used=self._clock, pins=1)
            return entry

    def _load(self, digest: str, entry: _Entry[R], loader: Callable[[], R]) -> None:
        resident: R | None = None
        try:
            self._make_room(digest)
            resident = loader()
            with self._changed:
                entry.bytes = resident.memory_bytes
            self._make_room(digest)
        except BaseException:
            if resident is not None:
                resident.close()
            self._settle(digest, entry, leaves=True)
            raise
        with self._changed:
            entry.resident = resident
        self._settle(digest, entry, leaves=False)
        self._on_resident(digest)

    def _make_room(self, digest: str) -> None:
        """Evicts until what is there, and what is coming, fits."""
        while True:
            with self._changed:
                over = self._used() - self.limit_bytes
                idle = self._idle()
                leaving = any(entry.state == "leaving" for entry in self._entries.values())
                if over <= 0:
                    return
                if not idle and leaving:  # another thread makes room as well
                    self._changed.wait()
                    continue
            if not idle:
                raise NoRoom(f"{over} bytes too few for {digest}, and every other model is at work")
            self.evict(idle[0])

    def _settle(self, digest: str, entry: _Entry[R], *, leaves: bool) -> None:
        with self._changed:
            if leaves:
                self._entries.pop(digest, None)
            else:
                entry.state = "ready"
            self._changed.notify_all()

    def _used(self) -> int:
        return sum(entry.bytes for entry in self._entries.values())

    def _idle(self) -> list[str]:
        idle = [(entry.used, digest) for digest, entry in self._entries.items() if _is_idle(entry)]
        return [digest for _, digest in sorted(idle)]

    def _in_state(self, state: str) -> tuple[str, ...]:
        with self._changed:
            return tuple(digest for digest, entry in self._entries.items() if entry.state == state)


def _is_idle(entry: _Entry[R]) -> bool:
    resident = entry.resident
    return entry.state == "ready" and not entry.pins and resident is not None and not resident.has_work
