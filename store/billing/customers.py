"""Organizations as Stripe knows them: a customer each, told of their billing details."""

from __future__ import annotations

from typing import Any, Final

import stripe
from django.conf import settings
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Organization
from store.billing.models import BillingDetails, Customer, Place
from store.billing.stripe_client import client
from store.errors import InvalidRequest

TAX_IDS: Final = 20  # of a customer; Stripe keeps five


def place_now() -> Place:
    """Who takes the payments of today."""
    if settings.SANDBOX:
        return Place.SANDBOX
    return Place.LIVE if settings.STRIPE_LIVE else Place.TEST


def customer_of(organization: Organization) -> str:
    """Stripe's id of the organization, made once, and told of its billing details once for each change.

    Raises stripe.StripeError, InvalidRequest on a tax id that Stripe does not take.
    """
    row, _is_new = Customer.objects.get_or_create(
        organization=organization, place=place_now(), defaults={"key": uuid7()}
    )
    if row.stripe_id is None:
        made = client().v1.customers.create(
            {"metadata": {"organization": str(organization.pk)}}, {"idempotency_key": f"customer:{row.key}"}
        )
        Customer.objects.filter(pk=row.pk, stripe_id=None).update(stripe_id=made.id)
        row.refresh_from_db()
    details = BillingDetails.objects.filter(organization=organization).first()
    if details and details.version != row.details_version:
        _tell(row, details)
    return str(row.stripe_id)


def _tell(row: Customer, details: BillingDetails) -> None:
    id, key = str(row.stripe_id), f"{row.key}:{details.version}"
    address: Any = {
        "line1": details.line1, "line2": details.line2, "postal_code": details.postal_code, "city": details.city,
        "state": details.region, "country": details.country,
    }  # fmt: skip
    client().v1.customers.update(
        id,
        {"name": details.legal_name, "email": details.email, "address": address},
        {"idempotency_key": f"customer:{key}"},
    )
    wanted, has_it = (details.tax_id_type, details.tax_id), False
    for known in client().v1.customers.tax_ids.list(id, {"limit": TAX_IDS}).data:
        if (known.type, known.value) == wanted:
            has_it = True
        else:
            client().v1.customers.tax_ids.delete(id, known.id)
    if details.tax_id and not has_it:
        _tell_tax_id(id, details, key)
    Customer.objects.filter(pk=row.pk).update(details_version=details.version)


def _tell_tax_id(id: str, details: BillingDetails, key: str) -> None:
    kind: Any = details.tax_id_type
    try:
        client().v1.customers.tax_ids.create(
            id, {"type": kind, "value": details.tax_id}, {"idempotency_key": f"tax_id:{key}"}
        )
    except stripe.InvalidRequestError as error:
        raise InvalidRequest(
            _("The tax id in your billing details is not accepted: correct it there, or take it away."), param="tax_id"
        ) from error
