"""Drives an engine to the end of its work, and keeps what it said."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel

from inference import wire
from inference.engine import Engine, Output, Request

FAR = 3600.0  # seconds


def ask(id_: str, prompt: list[int], *, heard: Sequence[int] = (), deadline_s: float = FAR, **sampling: Any) -> Request:
    """A request that is greedy, and 20 tokens long, unless told otherwise."""
    settings = wire.Sampling(**{"max_tokens": 20, "temperature": 0.0} | sampling)
    return Request(
        id=id_, prompt_ids=prompt, heard_ids=list(heard), sampling=settings, deadline=time.time() + deadline_s
    )


@dataclass
class Run:
    """Everything that was said about one request, checked to be contiguous."""

    tokens: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    logprobs: list[wire.TokenLogprob] = field(default_factory=list)
    last: Output | None = None

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def end(self) -> Output:
        assert self.last is not None
        return self.last


def collect(outputs: Iterable[Output], runs: dict[str, Run]) -> None:
    for output in outputs:
        run = runs[output.id]
        assert run.last is None, "nothing follows the end"
        assert output.index == len(run.tokens), "indexes are contiguous"
        run.tokens += output.token_ids
        run.texts.append(output.text)
        run.logprobs += output.logprobs
        run.last = output if output.finish_reason else None


def serve(engine: Engine, *requests: Request) -> dict[str, Run]:
    """Submits all at once and steps until nothing is left. Heard tokens count as said."""
    runs = {request.id: Run(tokens=list(request.heard_ids)) for request in requests}
    for request in requests:
        engine.submit(request)
    while engine.has_work:
        collect(engine.step(), runs)
    return runs


def serve_one(engine: Engine, request: Request) -> Run:
    return serve(engine, request)[request.id]


def generated(model: PreTrainedModel, prompt: list[int], max_tokens: int) -> list[int]:
    """What transformers' own greedy ``generate`` says."""
    out = model.generate(torch.tensor([prompt]), max_new_tokens=max_tokens, do_sample=False)
    return out[0, len(prompt) :].tolist()
