"""Runs to open and settle; after every test here the books are right."""

from __future__ import annotations

from collections.abc import Callable, Generator
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.catalog.models import Listing
from store.keys.actions import IssuedKey
from store.ledger.audit import audit
from store.runs.actions import heartbeat_gateway
from store.runs.books import OpenRun
from store.runs.models import Endpoint


@pytest.fixture
def gateway_id(db: None) -> UUID:
    """A gateway that lives."""
    gateway_id = uuid7()
    heartbeat_gateway(gateway_id)
    return gateway_id


RequestMaker = Callable[..., OpenRun]


@pytest.fixture
def request_of(
    consumer: User, listing: Listing, issued_key: IssuedKey, gateway_id: UUID
) -> Generator[RequestMaker, None, None]:
    """Makes a request of the consumer's for ``listing``: 100 tokens in, 50 out (30,000 nano-dollars), unless told otherwise."""

    def make(**changes: object) -> OpenRun:
        fields: dict[str, object] = {
            "run_id": uuid7(),
            "organization_id": consumer.personal_organization.id,
            "user_id": None,
            "api_key_id": issued_key.api_key.id,
            "listing_id": listing.id,
            "release_id": listing.current_release_id,
            "gateway_id": gateway_id,
            "endpoint": Endpoint.CHAT,
            "request_id": "req_test",
            "is_stream": False,
            "prompt_tokens": 100,
            "max_tokens": 50,
            "context_left": 412,
        }
        return OpenRun(**{**fields, **changes})  # type: ignore[arg-type]

    yield make
    assert audit() == []
