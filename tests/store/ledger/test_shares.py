"""The shares of a charge are the charge, to the unit; and a plan is kept once."""

from __future__ import annotations

from fractions import Fraction

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from store.accounts.models import User
from store.ledger.models import SharesPlan, TransferKind
from store.ledger.plans import keep_plans, read_plans
from store.ledger.shares import Owed, Plan, Share, split, transfers

PPM = 10**6
ppms = st.integers(0, PPM)
plans = st.builds(
    lambda commission, cap, owed, is_own: Plan(
        commission_ppm=commission,
        cap_ppm=cap,
        royalties=tuple(Owed(place + 2, ppm) for place, ppm in enumerate(owed)),
        rest_id=1,
        rest_is_royalty=is_own,
    ),
    ppms,
    ppms,
    st.lists(st.integers(1, 64 * PPM), max_size=64),
    st.booleans(),
)


@given(st.integers(0, 2**63 - 1), plans)
def test_shares_are_the_charge_to_the_unit_however_deep_the_lineage(charge: int, plan: Plan) -> None:
    shares = split(charge, plan)
    assert sum(share.amount_nano for share in shares) == charge
    assert all(share.amount_nano > 0 for share in shares)
    assert len({share.organization_id for share in shares}) == len(shares)


@given(st.integers(0, 2**63 - 1), plans)
def test_each_share_is_the_exact_fraction_rounded_down_nearest_base_first_under_the_cap(
    charge: int, plan: Plan
) -> None:
    found = {share.organization_id: share.amount_nano for share in split(charge, plan)}
    platform = found.get(None, 0)
    assert platform == Fraction(charge * plan.commission_ppm, PPM) // 1
    room = Fraction((charge - platform) * plan.cap_ppm, PPM) // 1
    for owed in plan.royalties:
        due = min(Fraction(charge * owed.ppm, PPM) // 1, room)
        assert found.get(owed.organization_id, 0) == due
        room -= due


def test_a_plan_without_royalties_is_provider_and_platform() -> None:
    plan = Plan(commission_ppm=150_000, rest_id=7)
    assert plan.is_plain
    assert split(1_001, plan) == [
        Share(TransferKind.USAGE, 7, 851),
        Share(TransferKind.COMMISSION, None, 150),
    ]


def test_transfers_have_a_key_for_each_share() -> None:
    plan = Plan(commission_ppm=100_000, cap_ppm=500_000, royalties=(Owed(8, 200_000),), rest_id=7)
    moved = transfers(split(1_000, plan), prefix="run:x", debit_id=1, earnings={7: 70, 8: 80}, platform_id=9)
    assert [(one.key, one.credit_id, one.amount_nano, one.kind) for one in moved] == [
        ("run:x:provider", 70, 700, "usage"),
        ("run:x:platform", 9, 100, "commission"),
        ("run:x:royalty:8", 80, 200, "royalty"),
    ]


@pytest.mark.django_db
def test_a_plan_is_kept_once_and_read_as_it_was(provider: User, stranger: User) -> None:
    seller, other = provider.personal_organization.id, stranger.personal_organization.id
    plain = Plan(commission_ppm=150_000, rest_id=seller)
    deep = Plan(
        commission_ppm=150_000, cap_ppm=500_000, royalties=(Owed(other, 100_000), Owed(seller, 1)), rest_id=seller
    )
    own = Plan(commission_ppm=150_000, rest_id=other, rest_is_royalty=True)
    first = keep_plans([plain, deep, own, deep])
    assert keep_plans([deep, own, plain]) == first
    assert read_plans(first.values()) == {plan_id: plan for plan, plan_id in first.items()}
    assert SharesPlan.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["UPDATE ledger_sharesplan SET cap_ppm = 1", "DELETE FROM ledger_sharesplan"])
def test_a_plan_never_changes(provider: User, change: str) -> None:
    keep_plans([Plan(commission_ppm=150_000, rest_id=provider.personal_organization.id)])
    with pytest.raises(DatabaseError, match="refused"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
