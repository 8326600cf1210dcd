"""Tax worked out without a page: where the customer is, is known before."""

from __future__ import annotations

from store.sandbox import objects
from store.sandbox.errors import ApiError
from store.sandbox.objects import Body
from store.sandbox.params import check
from store.sandbox.resources.payments import CURRENCY
from store.sandbox.tax import tax_cents

LINE = {"amount!": int, "reference": str, "tax_behavior!": ("exclusive",), "tax_code": str}
SHAPE = {"currency!": (CURRENCY,), "customer!": str, "line_items!": [LINE]}


def create_calculation(params: Body) -> Body:
    given = check(params, SHAPE)
    customer = objects.read("customer", given["customer"], param="customer")
    country = (customer["address"] or {}).get("country")
    if not country:
        raise ApiError(
            "The customer's location isn't recognized: set a valid address.", code="customer_tax_location_invalid", param="customer"
        )  # fmt: skip
    tax_ids = objects.find("tax_id", customer=customer["id"])
    net = sum(line["amount"] for line in given["line_items"])
    tax = tax_cents(net, country=country, tax_id=tax_ids[-1]["value"] if tax_ids else "")
    return objects.create(
        "tax.calculation", "taxcalc", currency=CURRENCY, customer=customer["id"], amount_total=net + tax, tax_amount_exclusive=tax,
        tax_amount_inclusive=0, expires_at=None,
    )  # fmt: skip
