"""What is not generation: encoders, which read a text as a whole. One vector for each text, or the words behind its masks.

A vector is the mean over the text's tokens, control tokens included, of what the last layer made of them (Reimers and Gurevych,
"Sentence-BERT", 2019), divided by its length, so that the dot product of two is their cosine, as it is with OpenAI's.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModel, AutoModelForMaskedLM

from inference import wire
from inference.architectures import ENCODERS
from inference.engine import Engine, InvalidRequest, Output, Request
from inference.engine.runner import architecture_of, load_model
from inference.errors import UnsupportedModel

RATE_WINDOW_S: Final = 5.0
WITH_HEAD: Final = "BertForMaskedLM"


class Encoder:
    """An encoder's weights on one device."""

    def __init__(self, folder: Path, *, device: str = "cpu", dtype: str = "auto") -> None:
        """Raises :class:`UnsupportedModel`, and :class:`OSError` or :class:`ValueError` for a broken folder."""
        architecture = architecture_of(folder)
        if architecture not in ENCODERS:
            raise UnsupportedModel(f"{folder.name} writes texts, and is no encoder")
        self.device = torch.device(device)
        self._has_head = architecture == WITH_HEAD
        kind, options = (AutoModelForMaskedLM, {}) if self._has_head else (AutoModel, {"add_pooling_layer": False})
        self._model = load_model(folder, kind, dtype=dtype, device=self.device, **options)
        config: Any = self._model.config
        self.vocab_size: int = config.vocab_size
        self.context_length: int = config.max_position_embeddings
        self.width: int = config.hidden_size
        tensors = {t.data_ptr(): t.nbytes for t in [*self._model.parameters(), *self._model.buffers()]}
        self.memory_bytes = sum(tensors.values())
        self.dtype = str(next(self._model.parameters()).dtype).removeprefix("torch.")

    @torch.inference_mode()
    def embed(self, texts: list[list[int]]) -> torch.Tensor:
        """One unit vector for each text. Shape: (texts, width) float32, on the CPU."""
        ids, mask = self._padded(texts)
        hidden = self._model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask.unsqueeze(-1).float()
        mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        return torch.nn.functional.normalize(mean, dim=-1).cpu()

    @torch.inference_mode()
    def fill_mask(self, text: list[int], mask_id: int, *, count: int = 5) -> list[list[tuple[int, float]]]:
        """For each mask in the text, the likeliest tokens with their probabilities. Raises :class:`InvalidRequest`."""
        if not self._has_head:
            raise InvalidRequest("this model has no head that fills masks", param="model")
        places = [at for at, token in enumerate(text) if token == mask_id]
        ids, mask = self._padded([text])
        logits = self._model(input_ids=ids, attention_mask=mask).logits[0, places].float()
        found = logits.softmax(dim=-1).topk(count, dim=-1)
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        return [list(zip(tokens, shares, strict=True)) for tokens, shares in pairs]

    def _padded(self, texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes: (texts, longest) int64 both; the mask is 1 where there is a token."""
        longest = max(map(len, texts))
        ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts], device=self.device)
        mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts], device=self.device)
        return ids, mask


@dataclass(eq=False, slots=True)
class _Job:
    """A request on its way: its texts, and the vectors of the first of them."""

    request: Request
    texts: list[list[int]]
    vectors: list[torch.Tensor] = field(default_factory=list)


class EncoderEngine:
    """Serves an encoder as :class:`inference.engine.Engine` serves a generator: ``submit`` from any thread, ``step`` by one."""

    def __init__(self, encoder: Encoder, *, max_step_tokens: int) -> None:
        self._encoder = encoder
        self._max_step_tokens = max_step_tokens
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}  # by request id, in the order of their arrival
        self._aborted: set[str] = set()
        self._read: deque[tuple[float, int]] = deque(maxlen=1000)  # (monotonic time, tokens) of the last steps
        self.running = 0
        self.context_length = encoder.context_length
        self.memory_bytes = encoder.memory_bytes
        self.dtype = encoder.dtype

    @property
    def has_work(self) -> bool:
        return bool(self._jobs)

    @property
    def waiting(self) -> int:
        return len(self._jobs) - self.running

    @property
    def tokens_per_s(self) -> float:
        """Tokens read over the last RATE_WINDOW_S seconds."""
        since = time.monotonic() - RATE_WINDOW_S
        return sum(count for at, count in list(self._read) if at >= since) / RATE_WINDOW_S

    def submit(self, request: Request) -> None:
        """Accepts a request, or raises :class:`InvalidRequest` before anything is done."""
        if request.task != "embed":
            raise InvalidRequest("this model makes embeddings, and writes no text", param="model")
        job = _Job(request, self._texts_of(request))
        with self._lock:
            if request.id in self._jobs:
                raise InvalidRequest(f"request {request.id} is being served already", param="id")
            self._jobs[request.id] = job

    def abort(self, request_id: str) -> None:
        """Ends a request at the next step, with "abort". An unknown id is no error."""
        with self._lock:
            if request_id in self._jobs:
                self._aborted.add(request_id)

    def step(self) -> list[Output]:
        """Reads the texts that are next, about ``max_step_tokens`` tokens of them. Ends what is done, aborted or too late."""
        outputs = self._end_some(time.time())
        batch = self._next_texts()
        self.running = len({id(job) for job, _text in batch})
        if batch:
            vectors = self._encoder.embed([text for _job, text in batch])
            for (job, _text), vector in zip(batch, vectors, strict=True):
                job.vectors.append(vector)
            self._read.append((time.monotonic(), sum(len(text) for _job, text in batch)))
        for job in {id(job): job for job, _text in batch}.values():
            if len(job.vectors) == len(job.texts):
                outputs.append(self._finish(job))
        return outputs

    def end_all(
        self, reason: wire.FinishReason, *, error_code: str | None = None, error: str | None = None
    ) -> list[Output]:
        """Ends every request, without touching the device. Called by the thread that steps."""
        with self._lock:
            jobs = list(self._jobs.values())
            self._jobs.clear()
            self._aborted.clear()
        return [_last(job, reason, error_code=error_code, error=error) for job in jobs]

    def _texts_of(self, request: Request) -> list[list[int]]:
        """The tokens of each text. Raises :class:`InvalidRequest`."""
        ids, lengths = request.prompt_ids, request.lengths
        if not lengths or min(lengths) < 1 or sum(lengths) != len(ids):
            raise InvalidRequest("the lengths of the texts are not those of the prompt", param="lengths")
        if max(lengths) > self.context_length:
            message = f"a text has {max(lengths)} tokens, and this model reads at most {self.context_length}"
            raise InvalidRequest(message, param="prompt_ids")
        if not (min(ids) >= 0 and max(ids) < self._encoder.vocab_size):
            raise InvalidRequest(f"a token id lies outside of 0 to {self._encoder.vocab_size - 1}", param="prompt_ids")
        texts, at = [], 0
        for length in lengths:
            texts.append(ids[at : at + length])
            at += length
        return texts

    def _next_texts(self) -> list[tuple[_Job, list[int]]]:
        """First come, first served; at least one text, and no more than fit once all are as long as the longest."""
        with self._lock:
            left = [(job, text) for job in self._jobs.values() for text in job.texts[len(job.vectors) :]]
        batch: list[tuple[_Job, list[int]]] = []
        longest = 0
        for job, text in left:
            longest = max(longest, len(text))
            if batch and longest * (len(batch) + 1) > self._max_step_tokens:
                break
            batch.append((job, text))
        return batch

    def _end_some(self, now: float) -> list[Output]:
        """Ends what was aborted, or whose deadline (unix seconds) has come."""
        with self._lock:
            aborted, self._aborted = self._aborted, set()
            ending = [job for id_, job in self._jobs.items() if id_ in aborted or job.request.deadline <= now]
            for job in ending:
                del self._jobs[job.request.id]
        return [_last(job, "abort") for job in ending]

    def _finish(self, job: _Job) -> Output:
        with self._lock:
            del self._jobs[job.request.id]
        vectors = torch.stack(job.vectors)
        if not bool(vectors.isfinite().all()):
            return _last(job, "error", error_code="bad_logits", error="the model made numbers that are not finite")
        return _last(job, "stop", embedding=base64.b64encode(vectors.numpy().astype("<f4").tobytes()).decode())


def _last(job: _Job, reason: wire.FinishReason, **fields: Any) -> Output:
    usage = wire.Usage(prompt_tokens=len(job.request.prompt_ids), completion_tokens=0)
    return Output(id=job.request.id, finish_reason=reason, usage=usage, **fields)


def load_engine(
    folder: Path, *, device: str, dtype: str, max_batch: int, max_step_tokens: int
) -> Engine | EncoderEngine:
    """The engine of a release, whatever it does. Raises as :meth:`inference.engine.Engine.load`."""
    if architecture_of(folder) in ENCODERS:
        return EncoderEngine(Encoder(folder, device=device, dtype=dtype), max_step_tokens=max_step_tokens)
    return Engine.load(folder, device=device, dtype=dtype, max_batch=max_batch, max_step_tokens=max_step_tokens)
