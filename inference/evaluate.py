"""What a listing shows as measured: found by a worker on the loaded engine, never written by hand.

Perplexity is per token of the model's own tokenizer, over windows of W = min(context, 1024) tokens, each of which begins (W - b) / 2 after
the one before it; b are the tokens that the tokenizer puts before every text, and they begin each window. Each token x_i but
the first counts once, in the first window that holds it::

    perplexity = exp(-(1/N) * sum over i of ln p(x_i | the tokens before it in its window))

The reference text is the first act of The Winter's Tale, the play that the bundled model has not seen. A release can bring a text of its
own, ``held_out.txt``; of a long one the first HELD_OUT_CHARS count. Time to first token is the median of TTFT_ROUNDS requests, one
at a time; output tokens per second are all tokens of n requests at once, divided by the time from sending them to the last token. Both are
with prompts of PROMPT_TOKENS. For an encoder, "output" tokens are those that it read, and the "first token" is the whole vector.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
import transformers

from inference import wire
from inference.asking import Answer, Asker, OutOfTime
from inference.engine import EngineLoop, Request
from inference.errors import InferenceError
from inference.prompt import PromptEncoder
from inference.tasks import EncoderEngine

REFERENCE: Final = Path(__file__).parent / "sample" / "reference" / "winters_tale_act_1.txt"
WINDOW: Final = 1024  # tokens
HELD_OUT_CHARS: Final = 65_536
PROMPT_TOKENS: Final = 128
OUTPUT_TOKENS: Final = 64
TTFT_ROUNDS: Final = 7
AT_ONCE: Final = (1, 8, 32)
MAX_NATS: Final = 700.0  # a mean above it has no perplexity that a float can hold
SAMPLE_TOKENS: Final = 64
SAMPLE_CHARS: Final = 1_000
QUESTION: Final = "Who are you, and what do you like to talk about?"
BEGINNING: Final = "Once upon a time"
# What each step may take of the whole time.
ANSWER_SHARE, TTFT_SHARE, RATE_SHARE, REFERENCE_SHARE, HELD_OUT_SHARE = 0.25, 0.1, 0.08, 0.25, 0.15


class CannotAnswer(InferenceError):
    """The model is loaded, and makes no answer. The message is a sentence for its provider."""

    code = "cannot_answer"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured. ``device``: as torch names it; ``memory_bytes``: of an adapter, its base's included."""

    loop: EngineLoop
    encoder: PromptEncoder
    context_length: int  # tokens
    dtype: str
    device: str
    held_out: str | None
    memory_bytes: int
    adapter: str | None = None  # the digest of that which is measured, where it is one in the loop's engine


Tell = Callable[[float, str], object]  # the share that is done, 0 to 1, and what is done now


def measure(
    subject: Subject,
    *,
    budget_s: float,
    tell: Tell,
    is_busy: Callable[[], bool] = lambda: False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> wire.MeasurementReport:
    """Measures, within about ``budget_s``: what does not fit into it stays None.

    ``is_busy``: whether somebody else is served on this device; timings wait until nobody is. Raises
    :class:`inference.asking.Stopped` once ``is_stopped()``.
    """
    asker = Asker(subject.loop, is_busy=is_busy, is_stopped=is_stopped)
    report = wire.MeasurementReport(
        status="done",
        progress=1.0,
        hardware=hardware(subject.device),
        software=f"torch {torch.__version__}, transformers {transformers.__version__}, {subject.dtype}",
        reference=reference_digest(),
        memory_bytes=subject.memory_bytes,
    )
    kind = _EncoderMeter if isinstance(subject.loop.engine, EncoderEngine) else _Meter
    try:
        return kind(subject, asker, budget_s=budget_s, tell=tell).fill(report)
    except CannotAnswer as error:
        return replace(report, status="unfit", error=str(error), reference="", memory_bytes=None)
    except OutOfTime:
        message = f"The model gave no answer within {budget_s * ANSWER_SHARE:.0f} s on {report.hardware}."
        return replace(report, status="failed", error=message, reference="", memory_bytes=None)


class _Meter:
    """Measures a generator."""

    def __init__(self, subject: Subject, asker: Asker, *, budget_s: float, tell: Tell) -> None:
        self._subject = subject
        self._asker = asker
        self._budget_s = budget_s
        self._ends_at = time.monotonic() + budget_s
        self._tell = tell
        self._prompt_tokens = max(1, min(PROMPT_TOKENS, subject.context_length // 2))
        self._reference = subject.encoder.encode_text(REFERENCE.read_text(encoding="ascii"))

    def fill(self, report: wire.MeasurementReport) -> wire.MeasurementReport:
        """The report with every number that there was time for. Raises :class:`CannotAnswer`, OutOfTime, Stopped."""
        self._tell(0.0, "Asking for an answer")
        sample = self._sample()
        self._tell(0.2, "Timing the first token")
        ttft_ms = self._ttft_ms()
        rates: list[float | None] = []
        for number, count in enumerate(AT_ONCE):
            self._tell(0.3 + 0.1 * number, f"Timing {count} at once")
            rates.append(self._rate(count))
        self._tell(0.6, "Reading the reference text")
        perplexity = self._perplexity(self._reference, REFERENCE_SHARE)
        self._tell(0.85, "Reading the held-out text")
        held_out = self._held_out()
        return replace(
            report, sample=sample, ttft_ms=ttft_ms, perplexity=perplexity, held_out_perplexity=held_out,
            tokens_per_s_1=rates[0], tokens_per_s_8=rates[1], tokens_per_s_32=rates[2],
        )  # fmt: skip

    def _limit(self, share: float) -> float:
        """Seconds that a step may take."""
        return max(0.0, min(share * self._budget_s, self._ends_at - time.monotonic()))

    def _sample(self) -> str:
        """Raises :class:`CannotAnswer` where no prompt gets a word, and OutOfTime where none comes soon enough."""
        encoder = self._subject.encoder
        room = self._subject.context_length - 1
        prompts = [encoder.encode_text(BEGINNING), self._reference[: self._prompt_tokens]]
        if encoder.has_chat_template:
            prompts.insert(0, encoder.encode_chat([{"role": "user", "content": QUESTION}]))
        limit_s = self._limit(ANSWER_SHARE)
        for prompt in (prompt[-room:] for prompt in prompts):
            sampling = wire.Sampling(max_tokens=SAMPLE_TOKENS, temperature=0.7, top_p=0.95, seed=1)
            (answer,) = self._ask([_request("sample", prompt, sampling)], limit_s=limit_s, is_timed=False)
            if not answer.tokens and answer.finish_reason is None:
                raise OutOfTime
            if answer.text.strip():
                return answer.text.strip()[:SAMPLE_CHARS].replace("\0", "")
        raise CannotAnswer("The model ends its answers before the first word; look at its chat template and end token.")

    def _ttft_ms(self) -> float | None:
        """Milliseconds, the median."""
        times: list[float] = []
        ends_at = time.monotonic() + self._limit(TTFT_SHARE)
        while len(times) < TTFT_ROUNDS and (left := ends_at - time.monotonic()) > 0:
            (answer,) = self._ask([self._timed_request(len(times), 1)], limit_s=left)
            if answer.first_after_s is not None:
                times.append(answer.first_after_s)
        return statistics.median(times) * 1000 if times else None

    def _rate(self, count: int) -> float | None:
        """Output tokens per second of ``count`` at once."""
        limit_s = self._limit(RATE_SHARE)
        made = min(OUTPUT_TOKENS, self._subject.context_length - self._prompt_tokens)
        answers = self._ask([self._timed_request(n, made) for n in range(count)], limit_s=limit_s)
        seconds = max((answer.last_after_s or 0.0 for answer in answers), default=0.0)
        return sum(answer.tokens for answer in answers) / seconds if seconds else None

    def _held_out(self) -> float | None:
        text = (self._subject.held_out or "")[:HELD_OUT_CHARS]
        return self._perplexity(self._subject.encoder.encode_text(text), HELD_OUT_SHARE) if text.strip() else None

    def _perplexity(self, ids: list[int], share: float) -> float | None:
        """None where the time was too short for the whole text, or the text for a number."""
        begin = self._subject.encoder.begin_ids
        size = min(WINDOW, self._subject.context_length)
        ends_at = time.monotonic() + self._limit(share)
        scores: list[float] = []
        for number, (window, counted) in enumerate(windows(ids[len(begin) :], begin, size)):
            request = replace(_request(f"score-{number}", window, wire.Sampling(max_tokens=1)), task="score")
            (answer,) = self._ask([request], limit_s=ends_at - time.monotonic(), is_timed=False)
            if answer.finish_reason is None:
                return None
            scores += answer.scores[len(answer.scores) - counted :]
        return math.exp(min(-statistics.fmean(scores), MAX_NATS)) if scores else None

    def _timed_request(self, number: int, made: int) -> Request:
        """A prompt of its own for each, and no end before its length."""
        start = number * self._prompt_tokens
        ids = [self._reference[(start + n) % len(self._reference)] for n in range(self._prompt_tokens)]
        sampling = wire.Sampling(max_tokens=made, temperature=0.0)
        return replace(_request(f"timed-{number}", ids, sampling), ignores_end=True)

    def _ask(self, requests: list[Request], *, limit_s: float, is_timed: bool = True) -> list[Answer]:
        """Raises :class:`CannotAnswer` for the first that ended in an error."""
        requests = [replace(request, adapter=self._subject.adapter) for request in requests]
        answers = self._asker.ask(requests, limit_s=limit_s, is_timed=is_timed)
        for answer in answers:
            if answer.error:
                raise CannotAnswer(f"The model failed while it answered: {answer.error}.")
        return answers


class _EncoderMeter(_Meter):
    """Measures an encoder: it has no perplexity."""

    def _sample(self) -> str:
        (answer,) = self._ask([self._timed_request(0, 0)], limit_s=self._limit(ANSWER_SHARE), is_timed=False)
        if answer.vector is None:
            raise OutOfTime
        beginning = ", ".join(f"{number:.4f}" for number in answer.vector[:4])
        return f"{len(answer.vector)} numbers: {beginning}, …"

    def _rate(self, count: int) -> float | None:
        answers = self._ask([self._timed_request(n, 0) for n in range(count)], limit_s=self._limit(RATE_SHARE))
        done = [answer.last_after_s for answer in answers if answer.vector is not None and answer.last_after_s]
        return len(done) * self._prompt_tokens / max(done) if done else None

    def _perplexity(self, ids: list[int], share: float) -> float | None:
        return None

    def _timed_request(self, number: int, made: int) -> Request:
        request = super()._timed_request(number, max(made, 1))
        return replace(request, task="embed", lengths=[len(request.prompt_ids)], ignores_end=False)


def windows(ids: list[int], begin: list[int], size: int) -> Iterator[tuple[list[int], int]]:
    """Windows of at most ``size`` tokens, and how many of the last tokens of each have not been in one before."""
    body = size - len(begin)
    done = 0 if begin else 1  # nothing comes before the first token
    for start in range(0, len(ids), max(1, body // 2)):
        end = min(start + body, len(ids))
        if end > done:
            yield begin + ids[start:end], end - done
        done = max(done, end)
        if end == len(ids):
            return


def reference_digest() -> str:
    """``sha256:<hex>`` of the reference text."""
    return f"sha256:{hashlib.sha256(REFERENCE.read_bytes()).hexdigest()}"


def hardware(device: str) -> str:
    """The name of the device, as people know it."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        name = next((value.strip() for key, _colon, value in lines if key.strip() == "model name"), name)
    return f"{name} ({min(torch.get_num_threads(), os.cpu_count() or 1)} threads)"


def _request(name: str, prompt: list[int], sampling: wire.Sampling) -> Request:
    return Request(id=f"measure-{name}", prompt_ids=prompt, heard_ids=[], sampling=sampling, deadline=math.inf)
