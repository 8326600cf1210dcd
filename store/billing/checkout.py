"""Buying credit on Stripe's page: a top-up that waits, and the page on which it is paid."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import stripe
from django.conf import settings
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Organization, User
from store.billing.actions import MAX_TOPUP_NANO, require_buyer
from store.billing.customers import customer_of
from store.billing.models import Topup, TopupMode, TopupStatus
from store.billing.stripe_client import client, unavailable
from store.errors import InvalidRequest

NANO_PER_CENT = 10_000_000
MIN_TOPUP_NANO = 10**9  # one dollar
CURRENCY = "usd"
TAX_CODE = "txcd_10000000"  # electronically supplied services. https://docs.stripe.com/tax/tax-codes


def start_checkout(*, organization: Organization, user: User, amount_nano: int) -> str:
    """The address of a page on which the amount is paid. Nothing is credited before Stripe says that it was.

    Raises PermissionDenied, NotFound, InvalidRequest on an amount out of range or of broken cents, or on a tax id that Stripe does not
    take, StripeUnavailable.
    """
    require_buyer(organization, user)
    if not MIN_TOPUP_NANO <= amount_nano <= MAX_TOPUP_NANO or amount_nano % NANO_PER_CENT:
        raise InvalidRequest(_("The amount must be whole cents, at least $1 and at most $10,000."), param="amount")
    topup = Topup.objects.create(
        id=uuid7(), organization=organization, amount_nano=amount_nano, mode=mode_now(), status=TopupStatus.PENDING, created_by=user
    )  # fmt: skip
    try:
        session = open_session(topup)
    except stripe.StripeError as error:
        raise unavailable() from error
    return str(session.url)


def mode_now() -> TopupMode:
    """Whether a payment of today is real money."""
    return TopupMode.LIVE if settings.STRIPE_LIVE else TopupMode.TEST


def open_session(topup: Topup) -> stripe.checkout.Session:
    """The page for a top-up: the same one, however often it is asked for. Raises stripe.StripeError."""
    back = f"{settings.PUBLIC_URL}/wallet/top-ups/{topup.pk}"
    tags = {"topup": str(topup.pk)}
    asked: Any = {
        "mode": "payment",
        "customer": customer_of(topup.organization),
        "client_reference_id": str(topup.pk),
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": CURRENCY,
                    "unit_amount": topup.amount_nano // NANO_PER_CENT,
                    "tax_behavior": "exclusive",
                    "product_data": {"name": "Credit for calls to models", "tax_code": TAX_CODE},
                },
            }
        ],
        "metadata": tags,
        "payment_intent_data": {"metadata": tags},
        **_taxed(),
        "success_url": back,
        "cancel_url": f"{settings.PUBLIC_URL}/wallet",
    }
    session = client().v1.checkout.sessions.create(asked, {"idempotency_key": f"topup:{topup.pk}"})
    Topup.objects.filter(pk=topup.pk).update(checkout_session=session.id)
    return session


def _taxed() -> dict[str, Any]:
    """What asks Stripe Tax to add what is due where the customer is, and the page to ask where that is."""
    if not settings.STRIPE_TAX:
        return {}
    return {
        "automatic_tax": {"enabled": True},
        "tax_id_collection": {"enabled": True},
        "billing_address_collection": "required",
        "customer_update": {"address": "auto", "name": "auto"},
    }


def topup_of(organization: Organization, id: UUID) -> Topup | None:
    """A top-up of this organization."""
    return organization.topups.filter(pk=id).first()
