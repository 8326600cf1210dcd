"""Paying a top-up with the saved card, with nobody there: once, whatever answers are lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import stripe
from django.conf import settings

from store.billing.checkout import CURRENCY, NANO_PER_CENT, TAX_CODE
from store.billing.customers import customer_of
from store.billing.models import Card, Topup, TopupStatus
from store.billing.settling import settle_payment
from store.billing.stripe_client import client

PAGE = 100
CLOCKS_S = 3600  # by which our clock and Stripe's may differ
AUTHENTICATION = "authentication_required"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Why a card was not charged. ``needs_payer``: its bank wants to see the customer."""

    code: str
    message: str

    @property
    def needs_payer(self) -> bool:
        return self.code == AUTHENTICATION


def charge(topup: Topup, card: Card) -> Refused | None:
    """Charges the card for a top-up and credits it; None where it is paid. Asked again, it finds what the first time came to.

    Raises stripe.StripeError where it is not known what became of it, InvalidRequest on a tax id that Stripe does not take.
    """
    customer = customer_of(topup.organization)
    found = _intent_of(topup, customer)
    if found is not None and found.status == "succeeded":
        settle_payment(found.id)
        return None
    asked = _asked(topup, card, customer)
    try:
        intent = client().v1.payment_intents.create(asked, {"idempotency_key": f"charge:{topup.pk}"})
    except stripe.CardError as error:
        return Refused(code=str(error.code), message=str(error.user_message))
    except stripe.InvalidRequestError as error:  # the card is there no more
        return Refused(code=str(error.code), message=str(error.user_message))
    settle_payment(intent.id)
    topup.refresh_from_db()
    return None if topup.status == TopupStatus.PAID else Refused(code=intent.status, message="")


def _asked(topup: Topup, card: Card, customer: str) -> Any:
    asked: dict[str, Any] = {
        "currency": CURRENCY, "customer": customer, "payment_method": card.stripe_id, "off_session": True, "confirm": True,
        "metadata": {"topup": str(topup.pk)},
    }  # fmt: skip
    if settings.STRIPE_TAX:
        calculation = _tax_of(topup, customer)
        asked["hooks"] = {"inputs": {"tax": {"calculation": calculation.id}}}
        Topup.objects.filter(pk=topup.pk, payment_intent=None).update(
            tax_nano=calculation.tax_amount_exclusive * NANO_PER_CENT
        )
        topup.refresh_from_db()
    return {**asked, "amount": topup.paid_nano // NANO_PER_CENT}


def _tax_of(topup: Topup, customer: str) -> stripe.tax.Calculation:
    line: Any = {
        "amount": topup.amount_nano // NANO_PER_CENT, "reference": str(topup.pk), "tax_behavior": "exclusive", "tax_code": TAX_CODE,
    }  # fmt: skip
    return client().v1.tax.calculations.create(
        {"currency": CURRENCY, "customer": customer, "line_items": [line]}, {"idempotency_key": f"tax:{topup.pk}"}
    )


def _intent_of(topup: Topup, customer: str) -> stripe.PaymentIntent | None:
    """The payment of a top-up, if there is one: an idempotency key is forgotten after a day, a payment is not."""
    since = int(topup.created_at.timestamp()) - CLOCKS_S
    listed = client().v1.payment_intents.list({"customer": customer, "created": {"gte": since}, "limit": PAGE})
    mine = [one for one in listed.auto_paging_iter() if getattr(one.metadata, "topup", None) == str(topup.pk)]
    return next((one for one in mine if one.status == "succeeded"), mine[0] if mine else None)
