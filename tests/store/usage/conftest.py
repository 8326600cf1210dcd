"""Runs of the consumer's to count and to tell of; after every test here the books are right."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.catalog.models import Listing
from store.keys.actions import issue_key
from store.ledger.audit import audit
from store.runs.actions import open_runs, settle_runs
from store.runs.books import OpenedRun, SettleRun
from store.runs.models import Run, RunStatus
from tests.conftest import make_listing
from tests.store.reputation.conftest import RunMaker, past_run
from tests.store.runs.conftest import RequestMaker, gateway_id, request_of

__all__ = ["gateway_id", "past_run", "request_of"]

Call = Callable[..., Run]
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
COST_NANO = 30_000  # of a call that makes 50 tokens


@pytest.fixture
def call(request_of: RequestMaker) -> Generator[Call, None, None]:
    """A call of the consumer's key: 100 tokens in, 50 out, settled unless ``status`` is OPEN. ``at`` decides the budgets' periods."""

    def make(
        *, status: RunStatus = RunStatus.SUCCEEDED, output_tokens: int = 50, at: datetime | None = None, run_id: UUID | None = None,
        settle: dict[str, Any] | None = None, **changes: Any,
    ) -> Run:  # fmt: skip
        request = request_of(run_id=run_id or uuid7(), **changes)
        [opened] = open_runs([request], at=at)
        assert isinstance(opened, OpenedRun), opened
        if status != RunStatus.OPEN:
            ending = {"status": status, "output_tokens": output_tokens, **(settle or {})}
            settle_runs([SettleRun(run_id=request.run_id, **ending)])
        return Run.objects.get(pk=request.run_id)

    yield make
    assert audit() == []


@pytest.fixture
def many_runs(past_run: RunMaker, consumer: User, stranger: User, listing: Listing, provider: User) -> None:
    """Of two organizations, by keys and in the playground, on two models, with every ending, over three days."""
    chance = random.Random(5)
    other = make_listing(provider.personal_organization, "other")
    ways: list[dict[str, Any]] = [{"user": consumer}, {"by": stranger.personal_organization, "user": stranger}]
    for user in (consumer, stranger):
        key = issue_key(organization=user.personal_organization, user=user, name="k", listings=[listing, other]).api_key
        ways.append({"by": user.personal_organization, "api_key": key})
    for _ in range(120):
        status = chance.choice([RunStatus.SUCCEEDED, RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
        made = chance.choice([0, 1, 40]) if status != RunStatus.SUCCEEDED else 40
        fields = {
            "status": status, "output_tokens": made, "charge_nano": made * 997, "cached_tokens": chance.choice([0, 60]),
            "first_token_ms": chance.choice([None, 3, 250, 90_000]),
        }  # fmt: skip
        moment = NOON - timedelta(minutes=chance.randrange(3 * 24 * 60))
        past_run(at=moment, of=chance.choice([listing, other]), **{**chance.choice(ways), **fields})
