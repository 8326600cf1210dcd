"""Charges of one token at prices that do not divide: each is rounded once, and its shares are the charge to the unit.

20,000 in ``make test``, a million in ``make faults``, by the verbs that open and settle runs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from fractions import Fraction

import pytest
from django.conf import settings
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.billing.actions import MAX_TOPUP_NANO, top_up_test
from store.catalog.actions import set_commission
from store.catalog.actions.commissions import CommissionSpec
from store.catalog.models import CommissionScope, Listing, Price
from store.ledger.audit import audit
from store.ledger.sql import execute
from store.runs.actions import heartbeat_gateway, open_runs, settle_runs
from store.runs.books import OpenedRun, OpenRun, SettleRun
from store.runs.models import Endpoint, RunStatus
from tests.conftest import make_listing, make_user
from tests.store.derivatives import made_from

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

CHARGES, FULL_CHARGES, BATCH = 20_000, 1_000_000, 2_000
MILLION = 1_000_000
MOST_S = 4 * 3600  # on a machine with much else to do
# Every charge beside its price, its plan and what was moved for it; equal ones are counted together.
MOVED = """
SELECT p.input_nano, r.commission_ppm, s.royalty_ppms[1], r.charge_nano, t.provider, t.platform, t.royalty, count(*)
FROM runs_run r JOIN catalog_price p ON p.id = r.price_id LEFT JOIN ledger_sharesplan s ON s.id = r.shares_id
LEFT JOIN (
    SELECT split_part(key, ':', 2)::uuid AS run_id, coalesce(sum(amount_nano) FILTER (WHERE kind = 'usage'), 0)::bigint AS provider,
           coalesce(sum(amount_nano) FILTER (WHERE kind = 'commission'), 0)::bigint AS platform,
           coalesce(sum(amount_nano) FILTER (WHERE kind = 'royalty'), 0)::bigint AS royalty
    FROM ledger_transfer WHERE key LIKE 'run:%%' GROUP BY 1) AS t ON t.run_id = r.id
GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


def no_divisor(chance: random.Random) -> int:
    """A price for a million tokens of which one token is no whole number of nano-dollars."""
    price = chance.randint(1, 10**10)
    return price + (price % MILLION == 0)


def set_terms(listings: list[Listing], chance: random.Random) -> None:
    """A new price for each model, and a new commission."""
    for listing in listings:
        price = no_divisor(chance)
        Price.objects.create(
            listing=listing,
            input_nano=price,
            cached_input_nano=price,
            output_nano=0,
            derivatives_allowed=True,
            royalty_ppm=10_007,
        )
    spec = CommissionSpec(name="All", scope=CommissionScope.GLOBAL, ppm=chance.randint(0, MILLION))
    set_commission(spec=spec, user=None, reason="Another batch.")


def batches(count: int, payer: User, listings: list[Listing], chance: random.Random) -> Iterator[list[OpenRun]]:
    gateway_id = uuid7()
    heartbeat_gateway(gateway_id)
    for _ in range(count // BATCH):
        set_terms(listings, chance)
        yield [
            OpenRun(
                run_id=uuid7(), organization_id=payer.personal_organization.pk, user_id=None, api_key_id=None, listing_id=listing.pk,
                release_id=listing.current_release_id or 0, gateway_id=gateway_id, endpoint=Endpoint.COMPLETION, request_id="one",
                is_stream=False, prompt_tokens=1, max_tokens=0, context_left=1,
            )
            for listing in listings for _each in range(BATCH // len(listings))
        ]  # fmt: skip


@pytest.mark.timeout(MOST_S)
def test_a_million_charges_of_one_token_are_exact(full: bool, consumer: User, provider: User) -> None:
    chance, count = random.Random(7), FULL_CHARGES if full else CHARGES
    root = make_listing(make_user("root").personal_organization, "root")
    set_terms([root], chance)
    listings = [make_listing(provider.personal_organization, "plain"), made_from(root, provider, "tuned")]
    top_up_test(organization=consumer.personal_organization, user=consumer, amount_nano=MAX_TOPUP_NANO)
    for batch in batches(count, consumer, listings, chance):
        assert all(isinstance(answer, OpenedRun) for answer in open_runs(batch))
        settle_runs([SettleRun(run_id=run.run_id, status=RunStatus.SUCCEEDED, output_tokens=0) for run in batch])

    seen = 0
    for price, commission_ppm, royalty_ppm, charge, provider_nano, platform, royalty, times in execute(MOVED):
        exact = Fraction(price, MILLION)
        assert charge == math.ceil(exact)
        assert 0 < charge - exact < 1
        assert platform == math.floor(Fraction(charge * commission_ppm, MILLION))
        room = math.floor(Fraction((charge - platform) * settings.ROYALTY_CAP_PPM, MILLION))
        assert royalty == min(math.floor(Fraction(charge * (royalty_ppm or 0), MILLION)), room)
        assert provider_nano + platform + royalty == charge
        seen += times
    assert seen == count
    assert audit() == []
