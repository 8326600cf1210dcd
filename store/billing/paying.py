"""What was paid for a top-up, as Stripe has it: the tax, and who paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import stripe

from store.billing.checkout import NANO_PER_CENT
from store.billing.countries import COUNTRIES
from store.billing.models import Topup
from store.billing.stripe_client import client

SEVERAL = 2  # a payment has one page


@dataclass(frozen=True, kw_only=True, slots=True)
class Paid:
    """``net_nano`` None: no page says what it is. ``buyer``: as ``details.buyer_of`` has it; None where nobody was asked."""

    net_nano: int | None
    tax_nano: int
    buyer: dict[str, Any] | None


def read_paid(topup: Topup, intent_id: str) -> Paid:
    """Of a payment on a page, what stands there; of another one, what its row says. Raises stripe.StripeError."""
    found = client().v1.checkout.sessions.list({"payment_intent": intent_id, "limit": SEVERAL}).data
    if not found:
        return Paid(net_nano=None, tax_nano=topup.tax_nano, buyer=None)
    session = found[0]
    tax = session.total_details.amount_tax if session.total_details else 0
    return Paid(
        net_nano=(session.amount_total or 0) * NANO_PER_CENT - tax * NANO_PER_CENT, tax_nano=tax * NANO_PER_CENT, buyer=_buyer(session)
    )  # fmt: skip


def _buyer(session: stripe.checkout.Session) -> dict[str, Any] | None:
    """Who paid, if they told their address."""
    said = session.customer_details
    if said is None or said.address is None or not said.address.country:
        return None
    address = said.address
    city = " ".join(part for part in (address.postal_code, address.city) if part)
    lines = [address.line1, address.line2, city, address.state, COUNTRIES.get(str(address.country), "")]
    tax_ids = said.tax_ids or []
    return {
        "name": getattr(said, "business_name", None) or said.name or "", "address": [line for line in lines if line],
        "country": address.country, "tax_id": tax_ids[0].value if tax_ids else "",
    }  # fmt: skip
