"""What the gateway asks of the books, and what they answer: plain messages, no rows, so that many can share a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from store.errors import Conflict, NotFound, StoreError
from store.keys.caps import BudgetExceeded as BudgetExceeded
from store.ledger.errors import InsufficientCredit as InsufficientCredit
from store.runs.models import Endpoint, RunStatus


class ModelNotFound(NotFound):
    """The listing cannot be called by this organization: unknown, private, withdrawn, suspended, or without a price."""

    code = "model_not_found"
    default_message = "The model does not exist, or you do not have access to it."


class TooManyParallel(StoreError):
    """The key has as many runs open as it may."""

    code = "too_many_parallel_requests"
    status = 429
    default_message = "This key has as many calls under way as it may."


class ReplayInProgress(Conflict):
    """The first request with this Idempotency-Key is still being served."""

    code = "idempotency_in_progress"
    default_message = "A request with this Idempotency-Key is being served; try again in a moment."


class ReplayMismatch(StoreError):
    """The Idempotency-Key was used with another body."""

    code = "idempotency_mismatch"
    status = 422
    default_message = "This Idempotency-Key was used with another request body."


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayKey:
    """An Idempotency-Key and what came with it."""

    key: str
    body_sha256: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenRun:
    """A request that wants to be served. ``max_tokens`` None: as many as the tightest cap affords, at most ``context_left``."""

    run_id: UUID
    organization_id: int
    user_id: int | None
    api_key_id: int | None
    listing_id: int
    release_id: int
    gateway_id: UUID
    endpoint: Endpoint
    request_id: str
    is_stream: bool
    prompt_tokens: int
    max_tokens: int | None
    context_left: int  # tokens that fit after the prompt, at least 1
    replay: ReplayKey | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedRun:
    """The run is a row, its worst case held."""

    run_id: UUID
    max_tokens: int  # what the hold affords, at most what was asked
    held_nano: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayFound:
    """The request was served before: nothing was held. ``chunks`` is ``inference.wire.encode_chunks`` of the whole answer."""

    run_id: UUID
    chunks: bytes
    prompt_tokens: int
    max_tokens: int


OpenAnswer = OpenedRun | ReplayFound | StoreError


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleRun:
    """A run that ended. Tokens are the worker's count. ``replay_chunks`` is kept where the run has a Replay."""

    run_id: UUID
    status: RunStatus
    output_tokens: int
    cached_tokens: int = 0
    finish_reason: str = ""
    error_code: str = ""
    attempts: int = 1
    worker: str = ""
    first_token_ms: int | None = None
    replay_chunks: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SettledRun:
    """``charge_nano`` moved; ``now`` is False where somebody else had settled the run before."""

    run_id: UUID
    charge_nano: int
    now: bool
