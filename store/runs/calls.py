"""A call: what a client asked for, checked, tokenized and ready to be opened as a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from inference import wire
from store.errors import InvalidRequest, StoreError
from store.keys.grants import KeyGrant
from store.runs.books import ReplayKey
from store.runs.models import Endpoint


class ContextExceeded(InvalidRequest):
    """The prompt leaves no room for an answer."""

    code = "context_length_exceeded"


class RunFailed(StoreError):
    """The run came to nothing on our side. What was made before is charged, nothing if nothing was."""

    code = "run_failed"
    status = 503
    default_message = "The model failed to answer. Try again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """``sampling.max_tokens`` is the most that the client, the context and the key's rates allow; what the hold affords replaces it.

    ``is_capped`` is False where the client named no limit: then its money is one too. ``tokens_taken`` were counted against the
    key's tokens per minute before the call, and are corrected after it. ``task`` and ``lengths`` are those of the worker's spec.
    """

    organization_id: int
    user_id: int | None
    grant: KeyGrant | None  # None: the playground
    listing_id: int
    release_id: int
    release: wire.ReleaseRef
    endpoint: Endpoint
    request_id: str
    is_stream: bool
    prompt_ids: list[int]
    sampling: wire.Sampling
    is_capped: bool
    has_seed: bool
    tokens_taken: int = 0
    replay: ReplayKey | None = None
    task: wire.Task = "generate"
    lengths: list[int] = field(default_factory=list)
