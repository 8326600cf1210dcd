"""Asks an engine and waits for the answers, with the times of both: for measuring."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from inference.engine import EngineLoop, EngineStopped, InvalidRequest, Output, Request
from inference.errors import InferenceError

POLL_S: Final = 0.02
ABORT_PATIENCE_S: Final = 60.0  # for the step that a slow engine is in
TRIES: Final = 5  # to time something while nobody else is served


class OutOfTime(InferenceError):
    """The engine was too slow, or never alone."""

    code = "out_of_time"


class Stopped(InferenceError):
    """This worker stops: the answer is wanted no more."""

    code = "stopped"


@dataclass(eq=False)
class Answer:
    """What was said to one request. Times are seconds after it was sent; ``finish_reason`` is None where it was cut off."""

    request: Request
    sent_at: float = field(default_factory=time.monotonic)
    tokens: int = 0
    text: str = ""
    scores: tuple[float, ...] = ()
    vector: array[float] | None = None
    first_after_s: float | None = None
    last_after_s: float | None = None
    finish_reason: str | None = None
    error: str | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def hear(self, output: Output) -> None:
        """On the engine's thread."""
        after_s = time.monotonic() - self.sent_at
        self.text += output.text
        if output.embedding:
            self.vector = array("f", base64.b64decode(output.embedding))
        if output.token_ids or output.embedding:
            self.tokens += len(output.token_ids)
            self.first_after_s = after_s if self.first_after_s is None else self.first_after_s
            self.last_after_s = after_s
        if output.finish_reason:
            self.scores = output.scores
            self.finish_reason = None if output.finish_reason == "abort" else output.finish_reason
            self.error = output.error
            self.over.set()


class Asker:
    """Sends requests to one engine, and leaves all others in peace."""

    def __init__(self, loop: EngineLoop, *, is_busy: Callable[[], bool], is_stopped: Callable[[], bool]) -> None:
        """``is_busy``: whether somebody else is served on the device."""
        self._loop = loop
        self._is_busy = is_busy
        self._is_stopped = is_stopped

    def ask(self, requests: Sequence[Request], *, limit_s: float, is_timed: bool) -> list[Answer]:
        """All at once; what is not over after ``limit_s`` is aborted and answers with what it has.

        With ``is_timed`` this waits until nobody else is served, and asks again if somebody comes meanwhile. Where that never
        ends, or there was no time at all, the answers are empty. Raises :class:`Stopped`.
        """
        ends_at = time.monotonic() + limit_s
        for _try in range(TRIES):
            self._await(lambda: not (is_timed and self._is_busy()), ends_at)
            if time.monotonic() >= ends_at:
                break
            answers = [self._send(request) for request in requests]
            was_disturbed = self._hear_out(answers, ends_at, gives_way=is_timed)
            if not was_disturbed:
                return answers
        return [Answer(request) for request in requests]

    def _send(self, request: Request) -> Answer:
        answer = Answer(replace(request, id=f"{request.id}-{uuid.uuid4().hex}"))
        try:
            self._loop.submit(answer.request, answer.hear)
        except (InvalidRequest, EngineStopped) as error:
            answer.finish_reason, answer.error = "error", str(error)
            answer.over.set()
        return answer

    def _hear_out(self, answers: Sequence[Answer], ends_at: float, *, gives_way: bool) -> bool:
        """Returns once all are over. True: somebody else came, and they were cut off."""
        was_disturbed = False

        def is_over() -> bool:
            nonlocal was_disturbed
            was_disturbed = was_disturbed or (gives_way and self._is_busy())
            return was_disturbed or all(answer.over.is_set() for answer in answers)

        try:
            self._await(is_over, ends_at)
        finally:
            for answer in answers:
                self._loop.abort(answer.request.id)
            patience_ends_at = time.monotonic() + ABORT_PATIENCE_S
            for answer in answers:
                answer.over.wait(max(0.0, patience_ends_at - time.monotonic()))
        return was_disturbed

    def _await(self, holds: Callable[[], bool], ends_at: float) -> None:
        """Until it holds, or the time is over. Raises :class:`Stopped`."""
        while True:
            is_over = holds() or time.monotonic() >= ends_at
            if (
                self._is_stopped()
            ):  # asked last: a worker that stops closes its engines, and that ends their requests, too
                raise Stopped("the worker stops")
            if is_over:
                return
            time.sleep(POLL_S)
