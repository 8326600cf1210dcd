"""The sandbox beside a test, in its own transaction: the official client's requests reach it without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from django.test import Client

from store.accounts.models import Organization, User
from store.billing import stripe_client
from store.billing.checkout import start_checkout
from store.billing.inbox import due_events, process_event
from store.billing.models import Topup
from store.payouts.accounts import refresh_account, start_onboarding
from store.payouts.models import ConnectAccount, Payout
from store.sandbox import onboarding
from store.sandbox.models import Delivery, StripeObject
from store.sandbox.resources import payments, payouts
from store.sandbox.resources.checkout import locate, pay_session
from store.sandbox.serve import Request, serve
from store.sandbox.webhooks import deliver_due

VISA, DISPUTED = "4242424242424242", "4000000000000259"


class Wire(stripe.HTTPClient):
    """Carries requests of the official client to the sandbox, and its faults back. Waits for nothing between two tries."""

    name = "wire"
    MAX_DELAY = INITIAL_DELAY = 0

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str, str]] = []  # method, path and idempotency key

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **_more: Any) -> Any:
        low = {str(name).lower(): str(value) for name, value in (headers or {}).items()}
        request = Request(method=method.upper(), url=url, headers=low, body=post_data or "")
        self.sent.append((request.method, request.path, low.get("idempotency-key", "")))
        answer = serve(request)
        if answer.body is None:
            raise stripe.APIConnectionError("The answer was lost.", should_retry=True)
        return json.dumps(answer.body), answer.status, {}

    def close(self) -> None:
        """Nothing is open."""


class Till:
    """What a customer, a bank and Stripe do in a test."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.v1 = stripe_client.client().v1

    def buy(self, user: User, *, dollars: int = 25, card: str = VISA, country: str = "", tax_id: str = "") -> Topup:
        """Pays on the hosted page, with tax where a country is named. The store has heard nothing of it yet."""
        organization: Organization = user.personal_organization
        start_checkout(organization=organization, user=user, amount_nano=dollars * 10**9)
        topup = Topup.objects.latest("created_at", "id")
        if country:
            session = StripeObject.objects.get(pk=topup.checkout_session).data
            locate(session, country=country, tax_id=tax_id, name=user.name)
        pay_session(str(topup.checkout_session), card)
        return topup

    def intent(self, topup: Topup) -> str:
        """Stripe's id of its payment."""
        session = self.v1.checkout.sessions.retrieve(str(topup.checkout_session))
        return str(session.payment_intent)

    def dispute(self, topup: Topup, *, cents: int | None = None) -> str:
        """A bank takes the money back for now."""
        intent = self.v1.payment_intents.retrieve(self.intent(topup))
        charge = StripeObject.objects.get(pk=intent.latest_charge)
        return str(payments.open_dispute(charge.data, amount=cents)["id"])

    def decide(self, dispute_id: str, *, won: bool) -> None:
        """The bank has decided."""
        payments.close_dispute(StripeObject.objects.get(pk=dispute_id).data, is_won=won)

    def change(self, id: str, **fields: Any) -> None:
        """What an attacker, a mistake or another account would have made of an object."""
        row = StripeObject.objects.get(pk=id)
        StripeObject.objects.filter(pk=id).update(data={**row.data, **fields})

    def onboard(self, user: User, *, number: str = onboarding.WORKS, country: str = "US") -> ConnectAccount:
        """Fills in the page on which who sells says where the money goes, and comes back from it."""
        address = start_onboarding(organization=user.personal_organization, user=user)
        token = address.rpartition("/")[2]
        assert onboarding.begin(token).status == 200
        assert onboarding.answer(token, {"action": "identity", "name": "Provider", "country": country}).status == 200
        assert onboarding.answer(token, {"action": "bank", "number": number}).status == 303
        account = refresh_account(organization=user.personal_organization, user=user)
        assert account
        return account

    def bank(self) -> None:
        """The banks have what was on its way to them, or refuse it. The store has heard nothing of it yet."""
        payouts.settle_due(now=2**40)

    def bank_returns(self, payout: Payout, code: str = "account_closed") -> None:
        """A bank sends back what was paid, days later."""
        account = str(payout.account.stripe_id)
        payouts.fail(StripeObject.objects.get(pk=payout.stripe_payout).data, account, code, "The bank sent it back.")

    def events(self) -> list[dict[str, Any]]:
        """All that has happened, oldest first."""
        return [row.data for row in StripeObject.objects.filter(kind__endswith="event").order_by("number")]

    def deliver(self) -> None:
        """Every event reaches the store, which acts on it."""
        client = Client()

        def post(body: bytes, headers: dict[str, str]) -> int:
            more = {"Stripe-Signature": headers["Stripe-Signature"]}
            answer = client.post("/stripe/webhook", body, content_type="application/json", headers=more)
            return answer.status_code

        while Delivery.objects.filter(delivered_at=None).exists():
            assert deliver_due(post)
        for event_id in due_events():
            process_event(event_id)


@pytest.fixture
def till(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Till]:
    """The sandbox, and who uses it."""
    wire = Wire()
    monkeypatch.setattr(stripe_client, "transport", lambda: wire)
    stripe_client.client.cache_clear()
    yield Till(wire)
    stripe_client.client.cache_clear()
