"""The one place that calls Stripe, or the sandbox: which of them it is, only settings know.

No call is made inside a transaction. Every call that changes something carries a key that is the id of a row of ours, so an answer that
was lost is had by asking again.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import stripe
from django.conf import settings
from django.utils.translation import gettext as _

from store.errors import Unavailable

TIMEOUT_S = 20.0
RETRIES = 2  # of the client's own, with the same key
RETRY_AFTER_S = 5.0


class StripeUnavailable(Unavailable):
    """Stripe did not answer, or not with what was asked for."""

    code = "payments_unavailable"


def transport() -> stripe.HTTPClient:
    """How requests travel."""
    return stripe.RequestsClient(timeout=TIMEOUT_S)


@cache
def client() -> stripe.StripeClient:
    """The official client. What it raises is a stripe.StripeError."""
    own: dict[str, Any] = {"base_addresses": {"api": settings.SANDBOX_INTERNAL_URL}} if settings.SANDBOX else {}
    return stripe.StripeClient(settings.STRIPE_SECRET_KEY, max_network_retries=RETRIES, http_client=transport(), **own)


def unavailable() -> StripeUnavailable:
    """What a person is told where a payment cannot be begun now."""
    return StripeUnavailable(
        _("Payments cannot be reached right now. Nothing was charged. Try again in a moment."),
        retry_after_s=RETRY_AFTER_S,
    )
