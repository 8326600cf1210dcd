"""Continuous batching: requests in, tokens out, one step at a time.

``submit`` and ``abort`` may be called from any thread; ``step`` by one thread only. One step is the whole story::

    step = scheduler.schedule()
    logits = runner.run(step)
    tokens = sample(logits, draws)
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import torch

from inference import wire
from inference.engine.adapters import Adapter
from inference.engine.detokenizer import Detokenizer, TokenBytes
from inference.engine.runner import Runner
from inference.engine.sampler import BAD_LOGITS, Draw, Likelihood, likelihoods, sample
from inference.engine.scheduler import Scheduler
from inference.engine.sequence import Output, Request, Sequence
from inference.errors import InvalidRequest
from inference.lora import overlaid, read_adapter
from inference.tokenizer_files import read_eos_ids

MAX_LOGPROBS: Final = 20
RATE_WINDOW_S: Final = 5.0
BAD_NUMBERS: Final = {"error_code": "bad_logits", "error": "the model made numbers that are not finite"}


class Engine:
    """Serves one model on one device, and any number of adapters of it: each request with one of them, or with none."""

    def __init__(
        self, folder: Path, runner: Runner, token_bytes: TokenBytes, eos_ids: frozenset[int], scheduler: Scheduler
    ) -> None:
        self._folder = folder
        self._runner = runner
        self._token_bytes = token_bytes
        self.eos_ids = eos_ids
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._inbox: list[Sequence] = []
        self._aborted: set[str] = set()
        self._ids: dict[str, Sequence] = {}  # everything submitted and not finished
        self._adapters: dict[str, Adapter] = {}  # by digest
        self._made: deque[tuple[float, int]] = deque()  # (monotonic time, tokens) of the last steps
        self.vocab_size = runner.vocab_size
        self.context_length = runner.context_length
        self.memory_bytes = runner.memory_bytes
        self.dtype = str(runner.dtype).removeprefix("torch.")

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: str = "cpu",
        dtype: str = "auto",
        max_batch: int = 32,
        max_step_tokens: int = 512,
        kv_tokens: int | None = None,
    ) -> Engine:
        """Loads a release of full weights.

        ``kv_tokens``: size of the cache, by default what ``max_batch`` full contexts need, within reason. Raises
        :class:`inference.errors.UnsupportedModel`, and :class:`OSError` or :class:`ValueError` for a broken folder.
        """
        runner = Runner(folder, device=device, dtype=dtype, max_batch=max_batch, kv_tokens=kv_tokens)
        scheduler = Scheduler(
            max_batch=max_batch,
            max_step_tokens=max_step_tokens,
            kv_tokens=runner.kv_tokens,
            context_length=runner.context_length,
        )
        return cls(folder, runner, TokenBytes.from_file(folder / "tokenizer.json"), read_eos_ids(folder), scheduler)

    @property
    def has_work(self) -> bool:
        return bool(self._ids)

    @property
    def running(self) -> int:
        """Requests in the batch."""
        return len(self._scheduler.rows)

    @property
    def waiting(self) -> int:
        """Requests accepted and not yet in the batch."""
        return len(self._scheduler.waiting) + len(self._inbox)

    @property
    def tokens_per_s(self) -> float:
        """Output tokens made over the last RATE_WINDOW_S seconds."""
        since = time.monotonic() - RATE_WINDOW_S
        return sum(count for at, count in list(self._made) if at >= since) / RATE_WINDOW_S

    def add_adapter(self, digest: str, folder: Path) -> int:
        """Holds the adapter in ``folder`` beside the base, from now on. Returns its bytes of memory. Any thread.

        Raises :class:`inference.errors.UnsupportedModel` where it does not fit, and :class:`OSError` or :class:`ValueError`.
        """
        layers = read_adapter(folder, self._runner.model)
        with overlaid(folder, self._folder) as files:
            has_own = (folder / "tokenizer.json").exists()
            token_bytes = TokenBytes.from_file(files / "tokenizer.json") if has_own else self._token_bytes
            adapter = Adapter(digest=digest, layers=layers, token_bytes=token_bytes, eos_ids=read_eos_ids(files))
        with self._lock:
            self._adapters[digest] = adapter
        return adapter.memory_bytes

    def remove_adapter(self, digest: str) -> None:
        """Lets go of an adapter; requests that were submitted with it end as they would have. Any thread."""
        with self._lock:
            adapter = self._adapters.pop(digest, None)
        if adapter:
            self._runner.deltas.forget(adapter)

    def submit(self, request: Request) -> None:
        """Accepts a request, or raises :class:`InvalidRequest` before anything is done."""
        self._check(request)
        sequence = self._sequence(request)
        with self._lock:
            if request.id in self._ids:
                raise InvalidRequest(f"request {request.id} is being served already", param="id")
            self._ids[request.id] = sequence
            self._inbox.append(sequence)

    def abort(self, request_id: str) -> None:
        """Ends a request at the next step, with "abort" and its usage. An unknown id is no error."""
        with self._lock:
            if request_id in self._ids:
                self._aborted.add(request_id)

    def step(self) -> list[Output]:
        """Advances every running request by a token, or by a part of its prompt. Ends what is aborted or too late."""
        outputs = self._take_in(time.time())
        step = self._scheduler.schedule()
        if not step.parts:
            return outputs
        logits = self._runner.run(step)
        for part in step.parts:
            part.sequence.computed += part.count
        sampled = [part.sequence for part in step.parts if part.samples]
        if sampled:
            outputs += self._choose(logits, sampled)
        scored = [part.sequence for part in step.parts if part.sequence.is_scored]
        return outputs + [self._tell_scores(s) for s in scored if s.computed == len(s.tokens)]

    def end_all(
        self, reason: wire.FinishReason, *, error_code: str | None = None, error: str | None = None
    ) -> list[Output]:
        """Ends every request, without touching the device: it may have failed. Called by the thread that steps."""
        with self._lock:
            sequences = list(self._ids.values())
            self._ids.clear()
            self._inbox.clear()
            self._aborted.clear()
        self._scheduler.clear()
        return [_last_output(sequence, reason, error_code=error_code, error=error) for sequence in sequences]

    def _sequence(self, request: Request) -> Sequence:
        made = 0 if request.task == "score" else request.sampling.max_tokens
        adapter = self._adapters.get(request.adapter) if request.adapter else None
        if request.adapter and adapter is None:
            raise InvalidRequest(f"the adapter {request.adapter} is not here", param="adapter")
        return Sequence(
            request=request,
            tokens=[*request.prompt_ids, *request.heard_ids],
            limit=min(len(request.prompt_ids) + made, self.context_length),
            detokenizer=Detokenizer(adapter.token_bytes if adapter else self._token_bytes, request.sampling.stop),
            eos_ids=adapter.eos_ids if adapter else self.eos_ids,
            adapter=adapter,
        )

    def _check(self, request: Request) -> None:
        prompt, sampling = request.prompt_ids, request.sampling
        if request.task == "embed":
            raise InvalidRequest("this model writes text, and makes no embeddings", param="model")
        if not prompt:
            raise InvalidRequest("the prompt is empty", param="prompt_ids")
        if len(prompt) >= self.context_length + (request.task == "score"):
            message = f"the prompt has {len(prompt)} tokens, and this model reads at most {self.context_length - 1}"
            raise InvalidRequest(message, param="prompt_ids")
        if len(prompt) + len(request.heard_ids) > self.context_length:
            raise InvalidRequest("prompt and output so far are longer than the context", param="heard_ids")
        for param, ids in (("prompt_ids", prompt), ("heard_ids", request.heard_ids)):
            if ids and not (min(ids) >= 0 and max(ids) < self.vocab_size):
                raise InvalidRequest(f"a token id lies outside of 0 to {self.vocab_size - 1}", param=param)
        _check_sampling(sampling)

    def _take_in(self, now: float) -> list[Output]:
        """Queues what was submitted and ends what was aborted, or whose deadline (unix seconds) has come."""
        with self._lock:
            arrived, self._inbox = self._inbox, []
            aborted, self._aborted = self._aborted, set()
        outputs = [output for sequence in arrived for output in self._replay(sequence)]
        ending = [s for s in self._scheduler.sequences() if s.request.deadline <= now or s.request.id in aborted]
        return outputs + [self._finish(sequence, "abort") for sequence in ending]

    def _replay(self, sequence: Sequence) -> list[Output]:
        """Queues a sequence, after the text of its heard tokens is made again: it may turn out to be at its end."""
        self._scheduler.add(sequence)
        reason: wire.FinishReason | None = None
        for token in sequence.request.heard_ids:
            if token not in sequence.eos_ids:
                sequence.detokenizer.push(token)
            reason = self._end_of(sequence, token)
        return [self._finish(sequence, reason)] if reason else []

    def _choose(self, logits: torch.Tensor, sequences: list[Sequence]) -> list[Output]:
        tokens = sample(logits, [Draw(s.request.sampling, s.output_tokens) for s in sequences])
        wanted = [
            row for row, s in enumerate(sequences) if s.request.sampling.logprobs is not None and tokens[row] >= 0
        ]
        told: dict[int, Likelihood] = {}
        if wanted:
            tops = [sequences[row].request.sampling.logprobs or 0 for row in wanted]
            told = dict(zip(wanted, likelihoods(logits[wanted], [tokens[row] for row in wanted], tops), strict=True))
        outputs = [self._extend(s, tokens[row], told.get(row)) for row, s in enumerate(sequences)]
        now = time.monotonic()
        self._made.append((now, len(outputs)))
        while self._made[0][0] < now - RATE_WINDOW_S:
            self._made.popleft()
        return outputs

    def _tell_scores(self, sequence: Sequence) -> Output:
        if not all(map(math.isfinite, sequence.scores)):
            assert sequence.row is not None  # it has just been computed
            self._runner.clear(sequence.row)
            return self._finish(sequence, "error", **BAD_NUMBERS)
        return self._finish(sequence, "stop", scores=tuple(sequence.scores))

    def _extend(self, sequence: Sequence, token: int, likelihood: Likelihood | None) -> Output:
        if token == BAD_LOGITS:
            assert sequence.row is not None  # it has just been computed
            self._runner.clear(sequence.row)
            return self._finish(sequence, "error", **BAD_NUMBERS)
        index = sequence.output_tokens
        sequence.tokens.append(token)
        text = "" if token in sequence.eos_ids else sequence.detokenizer.push(token)
        logprobs = (_logprob(sequence.detokenizer.token_bytes, token, likelihood),) if likelihood else ()
        reason = self._end_of(sequence, token)
        if reason:
            return self._finish(sequence, reason, index=index, token_ids=(token,), text=text, logprobs=logprobs)
        return Output(id=sequence.request.id, index=index, token_ids=(token,), text=text, logprobs=logprobs)

    def _end_of(self, sequence: Sequence, token: int) -> wire.FinishReason | None:
        is_end = token in sequence.eos_ids and not sequence.request.ignores_end
        if is_end or sequence.detokenizer.stop_string is not None:
            return "stop"
        return "length" if len(sequence.tokens) >= sequence.limit else None

    def _finish(self, sequence: Sequence, reason: wire.FinishReason, **last: Any) -> Output:
        """Takes a sequence out. ``last``: fields of its last output."""
        move = self._scheduler.remove(sequence)
        if move:
            self._runner.move(move)
        with self._lock:
            del self._ids[sequence.request.id]
        return _last_output(sequence, reason, **last)


def _logprob(token_bytes: TokenBytes, token: int, likelihood: Likelihood) -> wire.TokenLogprob:
    top = tuple((id_, token_bytes.text(id_), logprob) for id_, logprob in likelihood.top)
    return wire.TokenLogprob(token_id=token, text=token_bytes.text(token), logprob=likelihood.chosen, top=top)


def _last_output(sequence: Sequence, reason: wire.FinishReason, *, text: str = "", **fields: Any) -> Output:
    """The output that ends a request, with the text that was still held back."""
    return Output(
        id=sequence.request.id,
        index=fields.pop("index", sequence.output_tokens),
        **fields,
        text=text + sequence.detokenizer.flush(),
        finish_reason=reason,
        stop_string=sequence.detokenizer.stop_string,
        usage=sequence.usage,
    )


def _check_sampling(sampling: wire.Sampling) -> None:
    rules = (
        ("max_tokens", sampling.max_tokens >= 1, "must be 1 or more"),
        ("temperature", 0 <= sampling.temperature <= 100, "must be from 0 to 100"),
        ("top_p", 0 < sampling.top_p <= 1, "must be above 0 and at most 1"),
        ("top_k", sampling.top_k >= 0, "must be 0 (all) or more"),
        ("stop", all(sampling.stop), "must not hold an empty text"),
        (
            "logprobs",
            sampling.logprobs is None or 0 <= sampling.logprobs <= MAX_LOGPROBS,
            f"must be 0 to {MAX_LOGPROBS}",
        ),
    )
    for param, holds, rule in rules:
        if not holds:
            raise InvalidRequest(f"{param} {rule}", param=param)
