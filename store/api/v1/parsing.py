"""What a client may send to ``/v1``: every field is honoured, or refused with a 400 that names it."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct

from store.errors import InvalidRequest

MAX_INPUTS = 1024  # texts of one request for embeddings
MAX_STOPS = 4
MAX_STOP_CHARS = 256
INT64_MAX = 2**63 - 1

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Token = Annotated[int, Meta(ge=0, le=2**31 - 1)]
StopText = Annotated[str, Meta(min_length=1, max_length=MAX_STOP_CHARS)]
Stops = StopText | Annotated[list[StopText], Meta(max_length=MAX_STOPS)] | None
Seed = Annotated[int, Meta(ge=-(2**63), le=INT64_MAX)]
Short = Annotated[str, Meta(max_length=512)]


class InvalidJson(InvalidRequest):
    """The body is no JSON."""

    code = "invalid_json"


class InvalidField(InvalidRequest):
    """A field is of the wrong type, out of range, or unknown."""

    code = "invalid_value"


class UnsupportedField(InvalidRequest):
    """A field of OpenAI's that this store does not serve."""

    code = "unsupported_parameter"


class MissingField(InvalidRequest):
    """A required field is not there."""

    code = "missing_required_parameter"


class StreamOptions(Struct, forbid_unknown_fields=True):
    """``include_obfuscation`` is a padding against eavesdroppers that is not made here."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class TextPart(Struct, forbid_unknown_fields=True):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(Struct, forbid_unknown_fields=True):
    """One message of a chat. ``refusal`` is what OpenAI's client sends back with an earlier answer."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    refusal: None = None


class _Request(Struct, kw_only=True, forbid_unknown_fields=True):
    """What both endpoints take. ``user``, ``metadata`` and the like are accepted and kept nowhere."""

    model: str
    max_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None  # not OpenAI's; 0: all
    seed: Seed | None = None
    stop: Stops = None
    n: Annotated[int, Meta(ge=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Short | None = None
    frequency_penalty: Any = UNSET
    presence_penalty: Any = UNSET
    logit_bias: Any = UNSET


class ChatRequest(_Request):
    """The body of ``POST /v1/chat/completions``."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    metadata: Annotated[dict[Short, Short], Meta(max_length=16)] | None = None
    safety_identifier: Short | None = None
    prompt_cache_key: Short | None = None
    audio: Any = UNSET
    function_call: Any = UNSET
    functions: Any = UNSET
    modalities: Any = UNSET
    moderation: Any = UNSET
    parallel_tool_calls: Any = UNSET
    prediction: Any = UNSET
    prompt_cache_retention: Any = UNSET
    reasoning_effort: Any = UNSET
    response_format: Any = UNSET
    service_tier: Any = UNSET
    store: Any = UNSET
    tool_choice: Any = UNSET
    tools: Any = UNSET
    verbosity: Any = UNSET
    web_search_options: Any = UNSET


class CompletionRequest(_Request):
    """The body of ``POST /v1/completions``."""

    prompt: str | Annotated[list[Token | str], Meta(min_length=1)]  # tokens, or one text
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    best_of: Any = UNSET
    echo: Any = UNSET
    suffix: Any = UNSET


class EmbeddingRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/embeddings``."""

    model: str
    input: (
        str | Annotated[list[Token | str | list[Token]], Meta(min_length=1)]
    )  # one text or many, as text or as tokens
    encoding_format: Literal["float", "base64"] | None = None
    user: Short | None = None
    dimensions: Any = UNSET

    @property
    def texts(self) -> list[str | list[int]]:
        """What is to be embedded, each a text or its tokens."""
        if isinstance(self.input, str):
            return [self.input]
        tokens = [item for item in self.input if isinstance(item, int)]
        return [tokens] if tokens else [item for item in self.input if not isinstance(item, int)]


# Fields that are not served, and the values with which they ask for nothing.
NO_OP: dict[str, tuple[Any, ...]] = {
    "audio": (None,),
    "best_of": (None, 1),
    "dimensions": (None,),
    "echo": (None, False),
    "frequency_penalty": (None, 0),
    "function_call": (None, "none"),
    "functions": (None, []),
    "logit_bias": (None, {}),
    "modalities": (None, ["text"]),
    "moderation": (None,),
    "parallel_tool_calls": (None,),
    "prediction": (None,),
    "presence_penalty": (None, 0),
    "prompt_cache_retention": (None,),
    "reasoning_effort": (None, "none"),
    "response_format": (None, {"type": "text"}),
    "service_tier": (None, "auto", "default"),
    "store": (None, False),
    "suffix": (None, ""),
    "tool_choice": (None, "none"),
    "tools": (None, []),
    "verbosity": (None, "medium"),
    "web_search_options": (None,),
}

T = TypeVar("T")
R = TypeVar("R", ChatRequest, CompletionRequest, EmbeddingRequest)

_KINDS: tuple[type[Struct], ...] = (ChatRequest, CompletionRequest, EmbeddingRequest)
_decoders: dict[type[Struct], msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(kind) for kind in _KINDS}
_refusable = {kind: tuple((name, NO_OP[name]) for name in kind.__struct_fields__ if name in NO_OP) for kind in _KINDS}
_PATH = re.compile(r" - at `(?P<path>[^`]*)`$")
_NAMED = re.compile(r"field `(?P<name>[^`]*)`")


def parse(body: bytes, kind: type[R]) -> R:
    """A request for a model's answer. Raises InvalidRequest with the ``param`` at fault."""
    request: R = read_body(body, _decoders[kind])
    for name, allowed in _refusable[kind]:
        value = getattr(request, name)
        if value is not UNSET and not _is_one_of(value, allowed):
            raise UnsupportedField(f"'{name}' is not supported by this store.", param=name)
    if isinstance(request, EmbeddingRequest):
        _check_input(request)
    else:
        _check_generation(request)
    return request


def read_body(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """What a decoder makes of a body. Raises InvalidRequest with the ``param`` at fault."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refused(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(body, error) from None


def _check_generation(request: ChatRequest | CompletionRequest) -> None:
    if request.n not in (None, 1):
        raise UnsupportedField("Only n=1 is supported.", param="n")
    if request.stream_options is not None and not request.stream:
        raise InvalidField("'stream_options' is for streams only.", param="stream_options")
    if isinstance(request, ChatRequest):
        _check_chat(request)
    else:
        _check_prompt(request.prompt)


def _check_input(request: EmbeddingRequest) -> None:
    kinds = {type(item) for item in request.input}
    if len(kinds) > 1:
        raise InvalidField("'input' holds texts, or tokens, or lists of tokens: one kind only.", param="input")
    if len(request.texts) > MAX_INPUTS:
        raise InvalidField(f"'input' has {len(request.texts)} texts; {MAX_INPUTS} are the most.", param="input")
    if not all(request.texts):
        raise InvalidField("'input' must not hold an empty text.", param="input")


def _check_chat(request: ChatRequest) -> None:
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidField("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise InvalidField("'max_tokens' and 'max_completion_tokens' are the same: send one.", param="max_tokens")


def _check_prompt(prompt: str | list[int | str]) -> None:
    texts = [part for part in prompt if isinstance(part, str)] if isinstance(prompt, list) else []
    if texts and len(prompt) > 1:
        raise UnsupportedField("Only one prompt in a request is supported.", param="prompt")


def _is_one_of(value: Any, allowed: tuple[Any, ...]) -> bool:
    """Equal and of a like type: False is not 0 here."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


def _refused(error: msgspec.ValidationError) -> InvalidRequest:
    text = str(error)
    found = _PATH.search(text)
    path = found["path"].removeprefix("$").removeprefix(".") if found else ""
    message = text[: found.start()] if found else text
    named = _NAMED.search(message)
    if named:
        param = f"{path}.{named['name']}".strip(".")
        if "unknown field" in message:
            return InvalidField(f"Unrecognized request argument supplied: {param}", param=param)
        return MissingField(f"Missing required parameter: '{param}'.", param=param)
    return InvalidField(f"Invalid '{path or 'body'}': {message}.", param=path or None)


def _malformed(body: bytes, error: Exception) -> InvalidRequest:
    """No JSON; but where it is NaN or Infinity that makes it so, which some clients write, the field is named."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return InvalidJson(f"The body is not valid JSON: {error}.")
    fields = value.items() if isinstance(value, dict) else ()
    param = next((name for name, item in fields if isinstance(item, float) and not math.isfinite(item)), None)
    if param is None:
        return InvalidJson(f"The body is not valid JSON: {error}.")
    return InvalidField(f"Invalid '{param}': NaN and Infinity are no numbers of JSON.", param=param)
