"""Money that goes back."""

from __future__ import annotations

from store.sandbox import objects
from store.sandbox.errors import ApiError
from store.sandbox.objects import Body
from store.sandbox.params import LISTING, Free, check
from store.sandbox.resources.payments import CURRENCY, book

REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def create_refund(params: Body) -> Body:
    given = check(params, {"payment_intent": str, "charge": str, "amount": int, "reason": REASONS, "metadata": Free})
    charge = _charge(given)
    left = charge["amount"] - charge["amount_refunded"]
    amount = given.get("amount", left)
    if charge["disputed"]:
        raise ApiError(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if left == 0:
        raise ApiError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if not 0 < amount <= left:
        raise ApiError(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).", param="amount"
        )
    refund = objects.create(
        "refund", "re", amount=amount, charge=charge["id"], payment_intent=charge["payment_intent"], currency=CURRENCY,
        reason=given.get("reason"), status="succeeded", metadata=given.get("metadata", {}),
    )  # fmt: skip
    entry = book("refund", refund["id"], -amount)
    objects.change(refund, balance_transaction=entry["id"])
    objects.change(charge, amount_refunded=charge["amount_refunded"] + amount, refunded=amount == left)
    objects.emit("refund.created", refund)
    objects.emit("charge.refunded", charge)
    return refund


def _charge(given: Body) -> Body:
    if "charge" in given:
        return objects.read("charge", given["charge"], param="charge")
    if "payment_intent" not in given:
        raise ApiError("One of the following params should be provided for this request: payment_intent or charge.")
    intent = objects.read("payment_intent", given["payment_intent"], param="payment_intent")
    if intent["status"] != "succeeded":
        raise ApiError("This PaymentIntent does not have a successful charge to refund.", param="payment_intent")
    return objects.read("charge", intent["latest_charge"])


def read_refund(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("refund", id)


def list_refunds(params: Body) -> Body:
    given = check(params, {**LISTING, "charge": str, "payment_intent": str})
    where: Body = {name: given[name] for name in ("charge", "payment_intent") if name in given}
    return objects.page("refund", "/v1/refunds", given, where=where)
