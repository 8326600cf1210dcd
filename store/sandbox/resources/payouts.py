"""What belongs to a connected account, asked for with its ``Stripe-Account`` header: its balance, and payouts to its bank.

A payout is on its way for a moment, and then ends by the number of the bank account. https://docs.stripe.com/connect/testing
"""

from __future__ import annotations

from django.db import transaction

from store.sandbox import objects
from store.sandbox.errors import ApiError
from store.sandbox.models import StripeObject
from store.sandbox.objects import Body
from store.sandbox.params import LISTING, Free, check
from store.sandbox.resources.payments import CURRENCY, book
from store.sandbox.resources.transfers import balance_of

UNDER_WAY_S = 2
FAILURES = {
    "000111111116": ("no_account", "The bank account could not be located."),
    "000111111113": ("account_closed", "The bank account has been closed."),
    "000222222227": ("insufficient_funds", "Your Stripe account has insufficient funds to cover the payout."),
    "000333333335": ("debit_not_authorized", "Debit transactions are not approved on your bank account."),
    "000444444440": ("invalid_currency", "The bank was unable to process this payout because of its currency."),
}
SHAPE = {
    "amount!": int, "currency!": str, "description": str, "metadata": Free, "method": ("standard",), "statement_descriptor": str,
}  # fmt: skip
STATES = ("paid", "pending", "in_transit", "canceled", "failed")


def create_payout(params: Body, account_id: str) -> Body:
    given = check(params, SHAPE)
    account = objects.read("account", account_id)
    if not account["payouts_enabled"]:
        raise ApiError("Cannot create payouts: this account has payouts disabled.", code="payouts_not_allowed")
    if given["currency"] != account["default_currency"]:
        raise ApiError(
            f"Sorry, you don't have any external accounts in that currency ({given['currency']})", param="currency"
        )
    if given["amount"] <= 0:
        raise ApiError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if given["amount"] > balance_of(account_id):
        raise ApiError(
            "You have insufficient funds in your Stripe account for this transfer.",
            code="balance_insufficient",
            param="amount",
        )
    payout = objects.create(
        "payout", "po", of=account_id, amount=given["amount"], currency=given["currency"], status="pending", automatic=False,
        method="standard", arrival_date=objects.now() + UNDER_WAY_S, metadata=given.get("metadata", {}), failure_code=None,
        failure_message=None, destination=account["external_accounts"]["data"][0]["id"], type="bank_account",
        description=given.get("description"), statement_descriptor=given.get("statement_descriptor"),
    )  # fmt: skip
    entry = book("payout", payout["id"], -payout["amount"], currency=payout["currency"], of=account_id)
    objects.change(payout, balance_transaction=entry["id"])
    objects.emit("payout.created", payout, of=account_id)
    return payout


def read_payout(params: Body, account_id: str, id: str) -> Body:
    check(params, {})
    return objects.read("payout", id, of=account_id)


def list_payouts(params: Body, account_id: str) -> Body:
    given = check(params, {**LISTING, "status": STATES})
    where: Body = {"status": given["status"]} if "status" in given else {}
    return objects.page("payout", "/v1/payouts", given, where=where, of=account_id)


def settle(payout: Body, account_id: str) -> Body:
    """The bank has the money, or does not take it."""
    account = objects.read("account", account_id)
    if account["bank"] in FAILURES:
        return fail(payout, account_id, *FAILURES[account["bank"]])
    objects.change(payout, status="paid")
    objects.emit("payout.paid", payout, of=account_id)
    return payout


def fail(payout: Body, account_id: str, code: str, message: str) -> Body:
    """The money is back in the account's balance. A payout that was paid can fail days later."""
    entry = book("payout_failure", payout["id"], payout["amount"], currency=payout["currency"], of=account_id)
    objects.change(
        payout, status="failed", failure_code=code, failure_message=message, failure_balance_transaction=entry["id"]
    )
    objects.emit("payout.failed", payout, of=account_id)
    return payout


def settle_due(*, now: int | None = None) -> int:
    """Ends every payout that has been on its way for long enough; returns how many."""
    due = StripeObject.objects.filter(
        kind__endswith="/payout", data__status="pending", data__arrival_date__lte=objects.now() if now is None else now
    )
    if not due.exists():
        return 0
    with transaction.atomic():
        objects.lock()
        rows = list(due.order_by("number"))
        for row in rows:
            settle(row.data, row.kind.partition("/")[0])
    return len(rows)


def read_balance(params: Body, account_id: str = "") -> Body:
    """Of a connected account, or of the platform."""
    check(params, {})
    if account_id:
        currency, amount = objects.read("account", account_id)["default_currency"], balance_of(account_id)
    else:
        currency, amount = CURRENCY, sum(entry["net"] for entry in objects.find("balance_transaction"))
    return {
        "object": "balance", "livemode": False, "available": [{"amount": amount, "currency": currency, "source_types": {"card": amount}}],
        "pending": [{"amount": 0, "currency": currency, "source_types": {"card": 0}}],
    }  # fmt: skip


def read_payment(params: Body, account_id: str, id: str) -> Body:
    """What a transfer is on the account's side."""
    check(params, {})
    return objects.read("charge", id, of=account_id)


def read_entry(params: Body, account_id: str, id: str) -> Body:
    check(params, {})
    return objects.read("balance_transaction", id, of=account_id)


def list_entries(params: Body, account_id: str) -> Body:
    given = check(params, {**LISTING, "type": str, "source": str})
    where: Body = {name: given[name] for name in ("type", "source") if name in given}
    return objects.page("balance_transaction", "/v1/balance_transactions", given, where=where, of=account_id)
