"""Royalties by the hour are those of the runs, and nobody learns the name of a private model."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from store.accounts.models import User
from store.catalog.models import Listing
from store.ledger.plans import keep_plans
from store.ledger.shares import Owed, Plan
from store.reputation.analytics import analytics
from store.reputation.models import RoyaltyHour
from store.reputation.periods import HOUR
from store.reputation.rollup import roll_up
from store.reputation.royalties import RoyaltyRow, royalties_earned
from tests.conftest import make_listing
from tests.store.reputation.conftest import RunMaker
from tests.store.runs.conftest import gateway_id

__all__ = ["gateway_id"]
pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def test_royalties_are_shown_to_those_who_earn_and_to_those_who_pay(
    past_run: RunMaker, listing: Listing, provider: User, stranger: User
) -> None:
    seller, base = provider.personal_organization, stranger.personal_organization
    plan = Plan(commission_ppm=150_000, cap_ppm=500_000, royalties=(Owed(base.pk, 100_000),), rest_id=seller.pk)
    own = Plan(commission_ppm=150_000, rest_id=base.pk, rest_is_royalty=True)
    ids = keep_plans([plan, own])
    secret = make_listing(seller, "secret")
    Listing.objects.filter(pk=secret.pk).update(is_private=True)
    for at in (NOON, NOON, NOON + HOUR):
        past_run(at=at, charge_nano=1_001, shares_id=ids[plan])
    past_run(at=NOON, charge_nano=0, shares_id=ids[plan])
    past_run(at=NOON, of=secret, by=seller, charge_nano=1_000, shares_id=ids[own])
    for _again in range(2):
        roll_up([NOON, NOON + HOUR])
    period = {"since": NOON, "until": NOON + 2 * HOUR}
    assert royalties_earned(organization=base, **period) == [
        RoyaltyRow("", 1, 850),
        RoyaltyRow("provider/bard", 3, 300),
    ]
    assert royalties_earned(organization=base, since=NOON + HOUR, until=NOON + 2 * HOUR) == [
        RoyaltyRow("provider/bard", 1, 100)
    ]
    assert royalties_earned(organization=seller, **period) == []
    paid = {
        row.listing: (row.revenue_nano, row.royalty_nano)
        for row in analytics(organization=seller, by="listing", **period)
    }
    assert paid == {"provider/bard": (3 * (1_001 - 150 - 100), 300), "provider/secret": (0, 850)}
    assert RoyaltyHour.objects.count() == 3
