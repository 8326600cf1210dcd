"""A month is paid in advance from credit, and shared like a charge."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from store.accounts.models import Membership, Role, User
from store.catalog.actions import set_commission
from store.catalog.actions.commissions import CommissionSpec
from store.catalog.actions.floors import PriceTooLow
from store.catalog.models import CommissionScope, Listing, ListingStatus
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.ledger.errors import InsufficientCredit
from store.ledger.models import Transfer, Wallet
from store.subscriptions.actions import PlanSpec, offer_plan, retire_plan, subscribe
from store.subscriptions.errors import AlreadySubscribed, PlanNotOffered
from store.subscriptions.models import Subscription, SubscriptionPlan
from store.subscriptions.months import months_after
from tests.conftest import DOLLAR, make_listing
from tests.store.derivatives import made_from, set_royalty
from tests.store.subscriptions.conftest import make_plan

pytestmark = pytest.mark.django_db


def shares(subscription: Subscription) -> dict[str, int]:
    moved = Transfer.objects.filter(key__startswith=f"subscription:{subscription.period.pk}:")
    return {row.key.split(":")[2]: row.amount_nano for row in moved}


def test_a_month_is_paid_and_shared_like_a_charge(subscription: Subscription, wallet: Wallet) -> None:
    wallet.refresh_from_db()
    assert wallet.posted_nano == 7 * DOLLAR
    assert shares(subscription) == {"provider": 2_550_000_000, "platform": 450_000_000}
    period = subscription.period
    assert (period.charge_nano, period.ends_at, subscription.due_at) == (
        3 * DOLLAR,
        subscription.due_at,
        period.ends_at,
    )


def test_a_month_of_a_derivative_pays_its_base_by_the_commission_of_that_moment(
    stranger: User, provider: User, consumer: User, wallet: Wallet
) -> None:
    root = make_listing(stranger.personal_organization, "root")
    set_royalty(root, 100_000)
    tuned = made_from(root, provider, "tuned")
    rule = CommissionSpec(
        name="Fair", scope=CommissionScope.PROVIDER, ppm=200_000, provider=provider.personal_organization
    )
    set_commission(spec=rule, user=None, reason="A test.")
    made = subscribe(organization=consumer.personal_organization, user=consumer, plan=make_plan(tuned, provider))
    royalty = f"royalty:{stranger.personal_organization.pk}"
    moved = Transfer.objects.filter(key__startswith=f"subscription:{made.period.pk}:")
    assert {row.key.split(":", 2)[2]: row.amount_nano for row in moved} == {
        "provider": 2_100_000_000, "platform": 600_000_000, royalty: 300_000_000,
    }  # fmt: skip


def test_a_month_of_a_derivative_does_not_starve_its_base(stranger: User, provider: User) -> None:
    """The base costs $0.10 a million in and $0.40 out, and is owed a tenth: of 100 million tokens of any class that is $4."""
    root = make_listing(stranger.personal_organization, "root")
    set_royalty(root, 100_000)
    tuned = made_from(root, provider, "tuned")
    with pytest.raises(PriceTooLow) as refused:
        make_plan(tuned, provider, dollars=3, included_tokens=100_000_000)
    assert refused.value.param == "price"
    assert "$4" in refused.value.message
    make_plan(tuned, provider, dollars=4, included_tokens=100_000_000)
    with pytest.raises(PriceTooLow, match=r"\$2\.5"):
        make_plan(tuned, provider, dollars=2, included_input=100_000_000, included_output=37_500_000)


def test_too_little_credit_moves_nothing(plan: SubscriptionPlan, consumer: User) -> None:
    with pytest.raises(InsufficientCredit, match=r"\$3"):
        subscribe(organization=consumer.personal_organization, user=consumer, plan=plan)
    assert not Subscription.objects.exists()
    assert not Transfer.objects.exists()


def test_a_model_is_subscribed_to_once(
    subscription: Subscription, consumer: User, listing: Listing, provider: User
) -> None:
    with pytest.raises(AlreadySubscribed):
        subscribe(
            organization=consumer.personal_organization, user=consumer, plan=make_plan(listing, provider, dollars=1)
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Subscription.objects.create(
            organization=subscription.organization, listing=listing, plan=subscription.plan, anchor_at=subscription.anchor_at,
            due_at=subscription.due_at,
        )  # fmt: skip


@pytest.mark.parametrize(
    "fields", [{"is_private": True}, {"status": ListingStatus.SUSPENDED}, {"status": ListingStatus.DRAFT}]
)
def test_what_cannot_be_called_cannot_be_subscribed_to(
    plan: SubscriptionPlan, consumer: User, wallet: Wallet, fields: dict[str, object]
) -> None:
    Listing.objects.update(**fields)
    with pytest.raises(PlanNotOffered):
        subscribe(organization=consumer.personal_organization, user=consumer, plan=plan)


def test_nobody_subscribes_to_a_retired_plan_or_to_their_own_model(
    plan: SubscriptionPlan, consumer: User, wallet: Wallet, provider: User, listing: Listing
) -> None:
    with pytest.raises(PlanNotOffered, match="your own"):
        subscribe(organization=provider.personal_organization, user=provider, plan=plan)
    retire_plan(listing=listing, user=provider, plan=plan)
    with pytest.raises(PlanNotOffered):
        subscribe(organization=consumer.personal_organization, user=consumer, plan=plan)


def test_only_those_who_may_spend_subscribe(
    plan: SubscriptionPlan, consumer: User, stranger: User, wallet: Wallet
) -> None:
    organization = consumer.personal_organization
    with pytest.raises(NotFound):
        subscribe(organization=organization, user=stranger, plan=plan)
    Membership.objects.create(organization=organization, user=stranger, role=Role.DEVELOPER)
    with pytest.raises(PermissionDenied):
        subscribe(organization=organization, user=stranger, plan=plan)
    Membership.objects.filter(user=stranger, organization=organization).update(role=Role.BILLING)
    assert subscribe(organization=organization, user=stranger, plan=plan)


@pytest.mark.parametrize(
    ("terms", "param"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"price_nano": 0}, "price"),
        ({"price_nano": 10_000 * DOLLAR + 1}, "price"),
        ({"included_tokens": 0}, "included_tokens"),
        ({"included_tokens": -1}, "included_tokens"),
        ({"included_tokens": None}, "included_tokens"),
        ({"included_tokens": None, "included_input": 10**13 + 1}, "included_input"),
        ({"included_output": 5}, "included_tokens"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    listing: Listing, provider: User, terms: dict[str, object], param: str
) -> None:
    spec = PlanSpec(**{"name": "Small", "price_nano": DOLLAR, "included_tokens": 5, **terms})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as refused:
        offer_plan(listing=listing, user=provider, plan=spec)
    assert refused.value.param == param


def test_only_those_who_sell_the_model_offer_and_retire(
    listing: Listing, plan: SubscriptionPlan, stranger: User
) -> None:
    with pytest.raises(NotFound):
        make_plan(listing, stranger)
    with pytest.raises(NotFound):
        retire_plan(listing=listing, user=stranger, plan=plan)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE subscriptions_subscriptionplan SET price_nano = 1",
        "DELETE FROM subscriptions_subscriptionplan",
        "UPDATE subscriptions_subscriptionperiod SET charge_nano = 1",
        "UPDATE subscriptions_subscriptionperiod SET ends_at = ends_at + interval '1 day'",
        "DELETE FROM subscriptions_subscriptionperiod",
        "DELETE FROM subscriptions_subscription",
    ],
)
def test_the_database_keeps_what_was_paid_for(subscription: Subscription, statement: str) -> None:
    with pytest.raises(IntegrityError), connection.cursor() as cursor, transaction.atomic():
        cursor.execute(statement)


def test_months_end_by_the_calendar() -> None:
    start = datetime(2027, 1, 31, 9, 30, tzinfo=UTC)
    ends = [months_after(start, months) for months in range(1, 14)]
    assert [(end.month, end.day) for end in ends[:4]] == [(2, 28), (3, 31), (4, 30), (5, 31)]
    assert ends[12] == datetime(2028, 2, 29, 9, 30, tzinfo=UTC)
