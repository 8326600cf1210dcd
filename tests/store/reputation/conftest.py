"""Runs of the past: rows as they are once settled, without the money that moved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import Organization, User
from store.catalog.models import Listing, Price
from store.ledger.models import Hold, HoldStatus, Wallet, WalletKind
from store.runs.actions import heartbeat_gateway
from store.runs.ids import first_id
from store.runs.models import Endpoint, Run, RunStatus

RunMaker = Callable[..., Run]


@pytest.fixture
def past_run(consumer: User, listing: Listing) -> RunMaker:
    """Makes a run of ``listing`` by the consumer, opened ``ago`` or ``at`` a time, with fields of Run."""
    gateway_id = uuid7()
    heartbeat_gateway(gateway_id)

    def make(
        *,
        ago: timedelta = timedelta(),
        at: datetime | None = None,
        of: Listing = listing,
        by: Organization | None = None,
        **fields: Any,
    ) -> Run:
        opened_at = at or timezone.now() - ago
        organization = by or consumer.personal_organization
        run_id = UUID(int=first_id(opened_at).int | uuid7().int & (2**80 - 1))
        wallet, _is_new = Wallet.objects.get_or_create(organization=organization, kind=WalletKind.CREDIT)
        hold = Hold.objects.create(id=run_id, wallet=wallet, amount_nano=0, expires_at=opened_at + timedelta(hours=1))
        Hold.objects.filter(pk=hold.pk).update(status=HoldStatus.VOIDED, resolved_at=opened_at)
        values = {
            "status": RunStatus.SUCCEEDED,
            "prompt_tokens": 100,
            "output_tokens": 11,
            "charge_nano": 1_000,
            "commission_ppm": 150_000,
            "first_token_ms": 200,
            "settled_at": opened_at + timedelta(seconds=1.2),
            **fields,
        }
        return Run.objects.create(
            id=run_id, organization=organization, listing=of, release_id=of.current_release_id, hold=hold, gateway_id=gateway_id,
            price=Price.objects.filter(listing=of)[0], endpoint=Endpoint.CHAT, request_id="req", max_tokens=100, opened_at=opened_at,
            **values,
        )  # fmt: skip

    return make
