"""What a valid key lets its bearer do: a plain copy of its row, safe to keep for a moment in a process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network

from store.errors import PermissionDenied, StoreError


class InvalidKey(StoreError):
    """No key, a malformed one, or one that is unknown, revoked or expired."""

    code = "invalid_api_key"
    status = 401
    default_message = "Incorrect API key provided. Make one on the keys page of the store."


class NetworkDenied(PermissionDenied):
    """The key does not allow the caller's address."""

    code = "network_not_allowed"
    default_message = "This key cannot be used from this network."


class RateLimited(StoreError):
    """Too many requests or tokens in the minute; ``retry_after_s`` says when the same request fits."""

    code = "rate_limit_exceeded"
    status = 429
    default_message = "Rate limit reached for this key."


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyGrant:
    """A live key."""

    api_key_id: int
    organization_id: int
    created_by_id: int
    prefix: str
    listing_ids: frozenset[int]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    allowed_networks: tuple[IPv4Network | IPv6Network, ...]
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RateState:
    """For the x-ratelimit-* headers. None: not limited. Resets are seconds until the full allowance is back."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float = 0.0
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float = 0.0
    taken_tokens: int = 0  # from the allowance of tokens, by this call
