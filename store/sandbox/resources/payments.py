"""Payments: intents, the charges that they end in, and what these leave in the balance."""

from __future__ import annotations

from store.sandbox import objects
from store.sandbox.cards import card_of, refuse_charge
from store.sandbox.errors import ApiError, CardDeclined
from store.sandbox.objects import Body
from store.sandbox.params import LISTING, Free, check

CURRENCY = "usd"
LEAST_CENTS, MOST_CENTS = 50, 99_999_999
FEE_PPM, FEE_CENTS = 29_000, 30  # 2.9 % and 30 cents, as Stripe's own price list has it for US cards
SHAPE = {
    "amount!": int, "currency!": str, "customer": str, "payment_method": str, "off_session": bool, "confirm": bool,
    "description": str, "metadata": Free, "payment_method_types": [str], "receipt_email": str, "setup_future_usage": ("off_session", "on_session"),
    "hooks": {"inputs": {"tax": {"calculation": str}}},
}  # fmt: skip


def check_amount(amount: int, currency: str, *, param: str = "amount") -> None:
    """Raises ApiError on an amount that Stripe would not take."""
    if currency != CURRENCY:
        raise ApiError(f"Invalid currency: {currency}. The sandbox knows {CURRENCY}.", param="currency")
    if not LEAST_CENTS <= amount <= MOST_CENTS:
        code = "amount_too_small" if amount < LEAST_CENTS else "amount_too_large"
        raise ApiError(f"Amount must be between $0.50 and $999,999.99 {CURRENCY}.", code=code, param=param)


def make_intent(amount: int, *, customer: str | None, metadata: Body, description: str | None = None) -> Body:
    """An intent that waits for a card."""
    intent = objects.create(
        "payment_intent", "pi", amount=amount, amount_received=0, amount_capturable=0, currency=CURRENCY, customer=customer,
        metadata=metadata, description=description, status="requires_payment_method", latest_charge=None, payment_method=None,
        payment_method_types=["card"], last_payment_error=None, canceled_at=None, capture_method="automatic",
    )  # fmt: skip
    objects.emit("payment_intent.created", intent)
    return intent


def create_intent(params: Body) -> Body:
    given = check(params, SHAPE)
    check_amount(given["amount"], given["currency"])
    if "customer" in given:
        objects.read("customer", given["customer"], param="customer")
    calculation = given.get("hooks", {}).get("inputs", {}).get("tax", {}).get("calculation")
    if calculation and objects.read("tax.calculation", calculation)["amount_total"] != given["amount"]:
        raise ApiError("The amount is not that of the tax calculation.", param="amount")
    if given.get("confirm") and "payment_method" not in given:
        raise ApiError(
            "You cannot confirm this PaymentIntent because it's missing a payment method.", param="payment_method"
        )
    card = (
        objects.read("payment_method", given["payment_method"], param="payment_method")
        if "payment_method" in given
        else None
    )
    if card and card["customer"] != given.get("customer"):
        raise ApiError("The payment method belongs to another customer, or to none.", param="payment_method")
    intent = make_intent(
        given["amount"],
        customer=given.get("customer"),
        metadata=given.get("metadata", {}),
        description=given.get("description"),
    )
    if card and given.get("confirm"):
        pay(intent, card, off_session=given.get("off_session", False))
    return intent


def pay(intent: Body, card: Body, *, off_session: bool) -> Body:
    """Charges the card. Raises CardDeclined; the intent and its failed charge show why."""
    number = objects.secret_of("payment_method", card["id"])
    declined = refuse_charge(number, off_session=off_session)
    charge = _charge(intent, card, declined)
    if declined:
        error = {**declined.body["error"], "charge": charge["id"]}
        objects.change(intent, status="requires_payment_method", latest_charge=charge["id"], last_payment_error=error)
        objects.emit("charge.failed", charge)
        objects.emit("payment_intent.payment_failed", intent)
        raise CardDeclined(
            error["decline_code"], code=error["code"], extra={"charge": charge["id"], "payment_intent": dict(intent)}
        )
    objects.change(
        intent, status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"], payment_method=card["id"],
        last_payment_error=None,
    )  # fmt: skip
    objects.emit("charge.succeeded", charge)
    objects.emit("payment_intent.succeeded", intent)
    if card_of(number).is_disputed:
        open_dispute(charge)
    return intent


def _charge(intent: Body, card: Body, declined: CardDeclined | None) -> Body:
    charge = objects.create(
        "charge", "ch", amount=intent["amount"], amount_captured=0 if declined else intent["amount"], amount_refunded=0,
        currency=CURRENCY, customer=intent["customer"], payment_intent=intent["id"], payment_method=card["id"], paid=not declined,
        captured=not declined, refunded=False, disputed=False, status="failed" if declined else "succeeded", metadata=intent["metadata"],
        failure_code=declined.body["error"]["code"] if declined else None, balance_transaction=None,
        payment_method_details={"type": "card", "card": card["card"]},
    )  # fmt: skip
    if not declined:
        fee = charge["amount"] * FEE_PPM // 1_000_000 + FEE_CENTS
        entry = book("charge", charge["id"], charge["amount"], fee=fee)
        objects.change(charge, balance_transaction=entry["id"])
    return charge


def book(type: str, source: str, amount: int, *, fee: int = 0, currency: str = CURRENCY, of: str = "") -> Body:
    """What happened to the store's balance at Stripe, or to that of a connected account; in the smallest unit."""
    return objects.create(
        "balance_transaction", "txn", of=of, type=type, source=source, amount=amount, fee=fee, net=amount - fee, currency=currency,
        status="available", reporting_category=type,
    )  # fmt: skip


def read_intent(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("payment_intent", id)


def list_intents(params: Body) -> Body:
    given = check(params, {**LISTING, "customer": str})
    where = {"customer": given["customer"]} if "customer" in given else None
    return objects.page("payment_intent", "/v1/payment_intents", given, where=where)


def read_charge(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("charge", id)


def read_entry(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("balance_transaction", id)


def list_entries(params: Body) -> Body:
    given = check(params, {**LISTING, "type": str, "source": str})
    where: Body = {name: given[name] for name in ("type", "source") if name in given}
    return objects.page("balance_transaction", "/v1/balance_transactions", given, where=where)


def open_dispute(charge: Body, *, amount: int | None = None, reason: str = "fraudulent") -> Body:
    """The customer's bank takes the money back for now."""
    if charge["disputed"]:
        raise ApiError("This charge has been disputed already.", code="charge_disputed")
    disputed = amount or charge["amount"] - charge["amount_refunded"]
    dispute = objects.create(
        "dispute", "dp", amount=disputed, charge=charge["id"], payment_intent=charge["payment_intent"], currency=CURRENCY, reason=reason,
        status="needs_response", is_charge_refundable=False, metadata={}, evidence={}, balance_transactions=[],
    )  # fmt: skip
    objects.change(charge, disputed=True)
    book("adjustment", dispute["id"], -disputed)
    objects.emit("charge.dispute.created", dispute)
    return dispute


def close_dispute(dispute: Body, *, is_won: bool) -> Body:
    """The bank has decided."""
    if dispute["status"] in ("won", "lost"):
        raise ApiError("This dispute is closed already.")
    objects.change(dispute, status="won" if is_won else "lost")
    if is_won:
        book("adjustment", dispute["id"], dispute["amount"])
    objects.emit("charge.dispute.closed", dispute)
    return dispute


def read_dispute(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("dispute", id)


def list_disputes(params: Body) -> Body:
    given = check(params, {**LISTING, "charge": str, "payment_intent": str})
    where: Body = {name: given[name] for name in ("charge", "payment_intent") if name in given}
    return objects.page("dispute", "/v1/disputes", given, where=where)


def decide_dispute(params: Body, id: str) -> Body:
    """Stripe's way to decide a test dispute: the evidence says how it ends. https://docs.stripe.com/testing#disputes"""
    given = check(
        params, {"evidence!": {"uncategorized_text!": ("winning_evidence", "losing_evidence")}, "submit": bool}
    )
    is_won = given["evidence"]["uncategorized_text"] == "winning_evidence"
    return close_dispute(objects.read("dispute", id), is_won=is_won)
