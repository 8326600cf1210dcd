"""The one thread that steps an engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from inference import wire
from inference.engine.sequence import Output, Request
from inference.errors import EngineStopped, InvalidRequest

logger = logging.getLogger(__name__)


class Steppable(Protocol):
    """What can be stepped: :class:`inference.engine.Engine`, or :class:`inference.tasks.EncoderEngine`."""

    memory_bytes: int
    context_length: int  # tokens
    dtype: str

    @property
    def has_work(self) -> bool: ...

    def submit(self, request: Request) -> None: ...

    def abort(self, request_id: str) -> None: ...

    def step(self) -> list[Output]: ...

    def end_all(
        self, reason: wire.FinishReason, *, error_code: str | None = None, error: str | None = None
    ) -> list[Output]: ...


class EngineLoop:
    """Steps the engine while it has work, sleeps while it has none.

    ``sink`` gets all outputs of one step, on this thread, but for those of requests that brought a listener of their own. When a step or the sink raises, every request in hand ends with the error
    ``engine_failed``, the thread ends, and ``alive`` turns False.
    """

    def __init__(self, engine: Steppable, sink: Callable[[list[Output]], None]) -> None:
        self.engine = engine
        self._sink = sink
        self._listeners: dict[str, Callable[[Output], None]] = {}  # by request id
        self._wake = threading.Event()
        self._door = threading.Lock()  # who holds it may submit: nothing slips in after the last request was ended
        self._open = True
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._open and self._thread.is_alive()

    @property
    def has_work(self) -> bool:
        return self.alive and self.engine.has_work

    @property
    def memory_bytes(self) -> int:
        return self.engine.memory_bytes

    def submit(self, request: Request, listener: Callable[[Output], None] | None = None) -> None:
        """Raises :class:`inference.errors.InvalidRequest`, and :class:`EngineStopped` after a failure or ``close``."""
        with self._door:
            if not self._open or self._closing:
                raise EngineStopped("the engine has stopped")
            if listener:
                self._listeners[request.id] = listener  # first: the request may be over before submit returns
            try:
                self.engine.submit(request)
            except InvalidRequest:
                self._listeners.pop(request.id, None)
                raise
        self._wake.set()

    def abort(self, request_id: str) -> None:
        """Ends a request soon; an unknown id is no error."""
        self.engine.abort(request_id)
        self._wake.set()

    def close(self) -> None:
        """Ends every request with "abort" and waits for the thread."""
        with self._door:
            self._closing = True
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing:
                self._wake.wait()
                self._wake.clear()
                while self.engine.has_work and not self._closing:
                    self._sink_all(self.engine.step())
            self._shut(lambda: self.engine.end_all("abort"))
        except Exception as error:
            logger.exception("the engine has failed")
            message = f"{type(error).__name__}: {error}"
            self._shut(lambda: self.engine.end_all("error", error_code="engine_failed", error=message))

    def _sink_all(self, outputs: list[Output]) -> None:
        if self._listeners:
            outputs = [output for output in outputs if not self._is_told(output)]
        if outputs:
            self._sink(outputs)

    def _is_told(self, output: Output) -> bool:
        """Whether the output is for a listener, who has heard it then."""
        listener = self._listeners.get(output.id)
        if listener and output.finish_reason:
            del self._listeners[output.id]
        if listener:
            listener(output)
        return listener is not None

    def _shut(self, end_all: Callable[[], list[Output]]) -> None:
        with self._door:
            self._open = False
            outputs = end_all()
        try:
            self._sink_all(outputs)
        except Exception:
            logger.exception("the last outputs of the engine were lost")
