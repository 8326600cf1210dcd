"""Pages of subscriptions: found beside the price, begun, looked at, changed, ended; and the plans of those who sell."""

from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import Membership, Role, User
from store.catalog.models import Listing
from store.ledger.models import Wallet
from store.subscriptions.actions import PlanSpec, offer_plan, subscribe
from store.subscriptions.models import Subscription, SubscriptionPlan, SubscriptionStatus
from tests.conftest import DOLLAR

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan(listing: Listing, provider: User) -> SubscriptionPlan:
    spec = PlanSpec(name="Small <b>", price_nano=3 * DOLLAR, included_input=1_000, included_output=500)
    return offer_plan(listing=listing, user=provider, plan=spec)


@pytest.fixture
def subscription(plan: SubscriptionPlan, consumer: User, wallet: Wallet) -> Subscription:
    return subscribe(organization=consumer.personal_organization, user=consumer, plan=plan)


@pytest.fixture
def buyer(client: Client, consumer: User) -> Client:
    client.force_login(consumer)
    return client


@pytest.fixture
def seller(client: Client, provider: User) -> Client:
    client.force_login(provider)
    return client


def test_a_plan_is_found_beside_the_price_and_begun(buyer: Client, plan: SubscriptionPlan, wallet: Wallet) -> None:
    page = buyer.get("/provider/bard").content.decode()
    assert "Small &lt;b&gt;" in page
    assert f"/subscriptions/new/{plan.pk}" in page
    asked = buyer.get(f"/subscriptions/new/{plan.pk}").content.decode()
    assert "Subscribe for" in asked
    begun = buyer.post(f"/subscriptions/new/{plan.pk}", follow=True)
    assert begun.redirect_chain[-1][0] == f"/subscriptions/{Subscription.objects.get().pk}"
    assert "of 1,000 used" in begun.content.decode()
    assert "provider/bard" in buyer.get("/subscriptions").content.decode()


def test_who_has_too_little_credit_is_led_to_the_wallet(buyer: Client, plan: SubscriptionPlan) -> None:
    assert "Add credit" in buyer.get(f"/subscriptions/new/{plan.pk}").content.decode()
    assert buyer.post(f"/subscriptions/new/{plan.pk}").status_code == 402
    assert not Subscription.objects.exists()


def test_the_wallet_names_a_month_as_one_line(buyer: Client, subscription: Subscription) -> None:
    page = buyer.get("/wallet").content.decode()
    rows = page[page.index("<tbody>") : page.index("</tbody>")]
    assert (rows.count("<tr>"), rows.count(">Subscription")) == (2, 1)  # the top-up is the other


def test_without_a_subscription_the_page_says_what_to_do(buyer: Client) -> None:
    assert "No subscription yet" in buyer.get("/subscriptions").content.decode()


def test_the_plan_is_changed_and_the_subscription_cancelled(
    buyer: Client, subscription: Subscription, listing: Listing, provider: User
) -> None:
    at = f"/subscriptions/{subscription.pk}"
    spec = PlanSpec(name="Tiny", price_nano=DOLLAR, included_tokens=10)
    cheaper = offer_plan(listing=listing, user=provider, plan=spec)
    assert "with Tiny, for" in buyer.post(f"{at}/plan", {"plan": cheaper.pk}, follow=True).content.decode()
    assert "Ends with its month" in buyer.post(f"{at}/cancel", {"when": "end"}, follow=True).content.decode()
    assert "Ends with its month" not in buyer.post(f"{at}/resume", follow=True).content.decode()
    assert "It ended on" in buyer.post(f"{at}/cancel", {"when": "now"}, follow=True).content.decode()
    assert Subscription.objects.get().status == SubscriptionStatus.ENDED
    assert "This subscription has ended" in buyer.post(f"{at}/resume", follow=True).content.decode()


@pytest.mark.parametrize("path", ["", "/plan", "/cancel", "/resume"])
def test_a_strangers_subscription_is_not_found(
    client: Client, stranger: User, subscription: Subscription, path: str
) -> None:
    client.force_login(stranger)
    at = f"/subscriptions/{subscription.pk}{path}"
    assert (client.post(at, {"plan": subscription.plan_id}) if path else client.get(at)).status_code == 404
    assert Subscription.objects.get().status == SubscriptionStatus.ACTIVE


def test_a_plan_of_a_model_that_one_may_not_see_is_not_found(buyer: Client, plan: SubscriptionPlan) -> None:
    Listing.objects.update(is_private=True)
    assert buyer.get(f"/subscriptions/new/{plan.pk}").status_code == 404


def test_who_may_not_spend_is_told_so(
    client: Client, subscription: Subscription, stranger: User, plan: SubscriptionPlan
) -> None:
    Membership.objects.create(organization=subscription.organization, user=stranger, role=Role.DEVELOPER)
    client.force_login(stranger)
    client.post(f"/organizations/{subscription.organization_id}/switch")
    page = client.get(f"/subscriptions/{subscription.pk}").content.decode()
    assert "Cancel it" not in page
    assert "Only an owner" in client.get(f"/subscriptions/new/{plan.pk}").content.decode()
    client.post(f"/subscriptions/{subscription.pk}/cancel", {"when": "now"})
    assert Subscription.objects.get().status == SubscriptionStatus.ACTIVE


def test_a_provider_offers_and_retires_plans_on_the_page_of_the_prices(seller: Client, listing: Listing) -> None:
    assert "No plan is offered" in seller.get("/provider/bard/manage/prices").content.decode()
    form = {"plan-name": "Small", "plan-price": "3.50", "plan-included_tokens": "1000"}
    assert "The plan is offered" in seller.post("/provider/bard/manage/plans", form, follow=True).content.decode()
    plan = SubscriptionPlan.objects.get()
    assert (plan.name, plan.price_nano, plan.included_tokens) == ("Small", 3_500_000_000, 1_000)
    assert "1,000 tokens" in seller.get("/provider/bard/manage/prices").content.decode()
    retired = seller.post(f"/provider/bard/manage/plans/{plan.pk}/retire", follow=True).content.decode()
    assert "The plan is retired" in retired
    assert (
        "retired already" in seller.post(f"/provider/bard/manage/plans/{plan.pk}/retire", follow=True).content.decode()
    )
    assert "By the month" not in seller.get("/provider/bard").content.decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan-price": "0"}, "Between"),
        ({"plan-included_tokens": ""}, "how many tokens"),
        ({"plan-included_input": "5"}, "not both"),
        ({"plan-name": ""}, "required"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_at_its_field(
    seller: Client, listing: Listing, changes: dict[str, str], words: str
) -> None:
    form = {"plan-name": "Small", "plan-price": "3.50", "plan-included_tokens": "1000", **changes}
    response = seller.post("/provider/bard/manage/plans", form)
    assert response.status_code == 422
    assert words in response.content.decode()


def test_a_stranger_manages_no_plans(client: Client, stranger: User, plan: SubscriptionPlan) -> None:
    client.force_login(stranger)
    assert client.get("/provider/bard/manage/plans").status_code == 404
    assert client.post(f"/provider/bard/manage/plans/{plan.pk}/retire").status_code == 404
