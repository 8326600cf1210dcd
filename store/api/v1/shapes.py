"""OpenAI's shapes of an answer, whole and in chunks. https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from typing import Any, Protocol

from inference import wire
from store.runs.streams import Ending, Piece, RunStream

Json = dict[str, Any]


class Shape(Protocol):
    """How one endpoint writes the answer of one run."""

    def whole(self, piece: Piece, ending: Ending) -> Json: ...
    def first(self) -> Json | None: ...
    def delta(self, piece: Piece) -> Json: ...
    def last(self, ending: Ending) -> Json: ...
    async def receipt(self, ending: Ending) -> Json: ...


class _Shape:
    kind: str
    prefix: str
    chunk_kind: str

    def __init__(self, stream: RunStream, *, model: str, include_usage: bool) -> None:
        self.stream = stream
        self.head: Json = {
            "id": f"{self.prefix}-{stream.run_id}",
            "created": int(stream.run_id[:12], 16) // 1000,  # a version 7 UUID begins with its milliseconds
            "model": model,
            "system_fingerprint": f"fp_{stream.call.release.digest.removeprefix('sha256:')[:10]}",
        }
        self.wants_logprobs = stream.call.sampling.logprobs is not None
        self.chunk_tail: Json = {"usage": None} if include_usage else {}

    def chunk(self, choice: Json) -> Json:
        return {**self.head, "object": self.chunk_kind, "choices": [choice], **self.chunk_tail}

    async def receipt(self, ending: Ending) -> Json:
        """The chunk of ``stream_options.include_usage``."""
        return {**self.head, "object": self.chunk_kind, "choices": [], "usage": _usage(ending.usage)}


class ChatShape(_Shape):
    """``/v1/chat/completions``."""

    kind, chunk_kind, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def whole(self, piece: Piece, ending: Ending) -> Json:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": piece.text, "refusal": None, "annotations": []},
            "logprobs": self._logprobs(piece),
            "finish_reason": ending.finish_reason,
        }
        return {**self.head, "object": self.kind, "choices": [choice], "usage": _usage(ending.usage)}

    def first(self) -> Json | None:
        return self.chunk(_chat_choice({"role": "assistant", "content": "", "refusal": None}))

    def delta(self, piece: Piece) -> Json:
        return self.chunk(_chat_choice({"content": piece.text}, logprobs=self._logprobs(piece)))

    def last(self, ending: Ending) -> Json:
        return self.chunk(_chat_choice({}, finish_reason=ending.finish_reason))

    def _logprobs(self, piece: Piece) -> Json | None:
        if not self.wants_logprobs:
            return None
        content = [
            {**_chat_token(p.text, p.logprob), "top_logprobs": [_chat_token(text, value) for _id, text, value in p.top]}
            for p in piece.logprobs
        ]
        return {"content": content, "refusal": None}


class CompletionShape(_Shape):
    """``/v1/completions``. Its chunks look like its whole."""

    kind = chunk_kind = "text_completion"
    prefix = "cmpl"

    def __init__(self, stream: RunStream, *, model: str, include_usage: bool) -> None:
        super().__init__(stream, model=model, include_usage=include_usage)
        self._offset = 0  # characters of tokens so far, for text_offset

    def whole(self, piece: Piece, ending: Ending) -> Json:
        return {**self.chunk(self._choice(piece, ending.finish_reason)), "usage": _usage(ending.usage)}

    def first(self) -> Json | None:
        return None

    def delta(self, piece: Piece) -> Json:
        return self.chunk(self._choice(piece, None))

    def last(self, ending: Ending) -> Json:
        return self.chunk({"index": 0, "text": "", "logprobs": None, "finish_reason": ending.finish_reason})

    def _choice(self, piece: Piece, finish_reason: str | None) -> Json:
        logprobs = self._logprobs(piece.logprobs) if self.wants_logprobs else None
        return {"index": 0, "text": piece.text, "logprobs": logprobs, "finish_reason": finish_reason}

    def _logprobs(self, logprobs: tuple[wire.TokenLogprob, ...]) -> Json:
        offsets = []
        for token in logprobs:
            offsets.append(self._offset)
            self._offset += len(token.text)
        return {
            "tokens": [p.text for p in logprobs],
            "token_logprobs": [p.logprob for p in logprobs],
            "top_logprobs": [{text: value for _id, text, value in p.top} for p in logprobs],
            "text_offset": offsets,
        }


def _chat_choice(delta: Json, *, logprobs: Json | None = None, finish_reason: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _chat_token(text: str, logprob: float) -> Json:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "surrogatepass"))}


def _usage(usage: wire.Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
