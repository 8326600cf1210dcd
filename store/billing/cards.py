"""The saved card: added on Stripe's page, shown by its last digits, replaced, removed. The store never sees its number."""

from __future__ import annotations

import logging
from uuid import UUID

import stripe
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from store.accounts.models import Organization, User
from store.billing.actions import require_buyer
from store.billing.checkout import CURRENCY
from store.billing.customers import customer_of, place_now
from store.billing.models import AutoTopup, Card, CardSetup, OffReason
from store.billing.stripe_client import client, unavailable

logger = logging.getLogger(__name__)


def card_of(organization: Organization) -> Card | None:
    """The card that payments of today can be made with."""
    return Card.objects.filter(organization=organization, place=place_now()).first()


def is_open_setup(organization: Organization, id: str) -> bool:
    """Whether a page for a card of this organization was used, or is, and nothing came of it yet."""
    try:
        return CardSetup.objects.filter(organization=organization, pk=UUID(id), ended_at=None).exists()
    except ValueError:
        return False


def start_setup(*, organization: Organization, user: User) -> str:
    """The address of a page on which a card is saved; it takes the place of an older one. Raises PermissionDenied, NotFound, StripeUnavailable."""
    require_buyer(organization, user)
    setup = CardSetup.objects.create(id=uuid7(), organization=organization, place=place_now(), created_by=user)
    try:
        return str(open_setup(setup).url)
    except stripe.StripeError as error:
        raise unavailable() from error


def open_setup(setup: CardSetup) -> stripe.checkout.Session:
    """The page: the same one, however often it is asked for. Raises stripe.StripeError."""
    session = client().v1.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": CURRENCY,
            "customer": customer_of(setup.organization),
            "client_reference_id": str(setup.pk),
            "metadata": {"card_setup": str(setup.pk)},
            "success_url": f"{settings.PUBLIC_URL}/wallet/automatic?setup={setup.pk}",
            "cancel_url": f"{settings.PUBLIC_URL}/wallet/automatic",
        },
        {"idempotency_key": f"card_setup:{setup.pk}"},
    )
    CardSetup.objects.filter(pk=setup.pk).update(session=session.id)
    return session


def settle_setup(session: stripe.checkout.Session) -> None:
    """Keeps the card of a page that was completed, and takes the one that it replaces away from Stripe. Raises stripe.StripeError."""
    setup = _setup_of(session.client_reference_id)
    if setup is None or setup.ended_at:
        return
    if session.status == "complete" and session.setup_intent:
        intent = client().v1.setup_intents.retrieve(str(session.setup_intent))
        method = client().v1.payment_methods.retrieve(str(intent.payment_method))
        old = _keep(setup, method)
        if old and old != method.id:
            _detach(old)
    elif session.status == "expired":
        CardSetup.objects.filter(pk=setup.pk, ended_at=None).update(ended_at=Now())


def _setup_of(id: object) -> CardSetup | None:
    try:
        return CardSetup.objects.filter(pk=UUID(str(id)), place=place_now()).select_related("organization").first()
    except ValueError:
        return None


@transaction.atomic
def _keep(setup: CardSetup, method: stripe.PaymentMethod) -> str | None:
    """Writes the card down; returns Stripe's id of the one that it replaces."""
    Organization.objects.select_for_update(no_key=True).only("pk").get(pk=setup.organization_id)
    if CardSetup.objects.filter(pk=setup.pk, ended_at=None).update(ended_at=Now()) != 1 or method.card is None:
        return None
    old = Card.objects.filter(organization=setup.organization_id, place=setup.place).first()
    Card.objects.update_or_create(
        organization_id=setup.organization_id, place=setup.place,
        defaults={
            "stripe_id": method.id, "brand": method.card.brand, "last4": method.card.last4, "exp_month": method.card.exp_month,
            "exp_year": method.card.exp_year,
        },
    )  # fmt: skip
    return old.stripe_id if old else None


def remove_card(*, organization: Organization, user: User) -> None:
    """Takes the card away, here and at Stripe, and switches automatic top-ups off. Raises PermissionDenied, NotFound, StripeUnavailable."""
    require_buyer(organization, user)
    card = card_of(organization)
    if card is None:
        return
    try:
        _detach(card.stripe_id)
    except stripe.StripeError as error:
        raise unavailable() from error
    with transaction.atomic():
        Card.objects.filter(pk=card.pk, stripe_id=card.stripe_id).delete()
        AutoTopup.objects.filter(organization=organization, is_on=True).update(is_on=False, off_reason=OffReason.CARD)


def _detach(method_id: str) -> None:
    try:
        client().v1.payment_methods.detach(method_id, {}, {"idempotency_key": f"detach:{method_id}"})
    except stripe.InvalidRequestError as error:
        logger.info("card %s was detached already: %s", method_id, error)
