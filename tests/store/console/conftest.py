"""Browsers that are signed in, and runs to look at."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from django.test import Client
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.catalog.models import Listing
from store.keys.actions import IssuedKey
from store.runs.actions import heartbeat_gateway, open_runs, settle_runs
from store.runs.books import OpenedRun, OpenRun, SettleRun
from store.runs.models import Endpoint, Run, RunStatus

MakeRun = Callable[..., Run]


@pytest.fixture
def browser(client: Client, consumer: User) -> Client:
    """The consumer's, signed in."""
    client.force_login(consumer)
    return client


@pytest.fixture
def seller(provider: User) -> Client:
    """The provider's, signed in."""
    browser = Client()
    browser.force_login(provider)
    return browser


@pytest.fixture
def make_run(listing: Listing, issued_key: IssuedKey) -> MakeRun:
    """Opens and settles a run of the consumer's key: 100 tokens in, 50 out."""
    gateway_id = uuid7()
    heartbeat_gateway(gateway_id)

    def make(*, status: RunStatus = RunStatus.SUCCEEDED, output_tokens: int = 50, run_id: UUID | None = None) -> Run:
        run = OpenRun(
            run_id=run_id or uuid7(),
            organization_id=issued_key.api_key.organization_id,
            user_id=None,
            api_key_id=issued_key.api_key.pk,
            listing_id=listing.pk,
            release_id=listing.current_release_id or 0,
            gateway_id=gateway_id,
            endpoint=Endpoint.CHAT,
            request_id="req_1",
            is_stream=True,
            prompt_tokens=100,
            max_tokens=100,
            context_left=400,
        )
        [opened] = open_runs([run])
        assert isinstance(opened, OpenedRun)
        settle_runs([SettleRun(run_id=run.run_id, status=status, output_tokens=output_tokens, finish_reason="stop")])
        return Run.objects.get(pk=run.run_id)

    return make
