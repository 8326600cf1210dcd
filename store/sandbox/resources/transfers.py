"""Money of the platform that goes to a connected account, and back.

https://docs.stripe.com/connect/separate-charges-and-transfers
"""

from __future__ import annotations

from store.sandbox import objects
from store.sandbox.errors import ApiError
from store.sandbox.objects import Body
from store.sandbox.params import LISTING, Free, check
from store.sandbox.resources.payments import CURRENCY, book

# What a dollar is in the smallest unit of another currency, in millionths of it for each cent: made up, and always the same.
RATES_PPM = {"usd": 1_000_000, "eur": 900_000, "gbp": 800_000, "chf": 850_000, "cad": 1_400_000, "jpy": 1_500_000}
MOST_CENTS = 99_999_999
SHAPE = {
    "amount!": int,
    "currency!": (CURRENCY,),
    "destination!": str,
    "description": str,
    "metadata": Free,
    "transfer_group": str,
}


def create_transfer(params: Body) -> Body:
    given = check(params, SHAPE)
    account = objects.read("account", given["destination"], param="destination")
    if not 0 < given["amount"] <= MOST_CENTS:
        raise ApiError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if account["capabilities"]["transfers"] != "active":
        message = (
            "Your destination account needs to have at least one of the following capabilities enabled: transfers."
        )
        raise ApiError(message, code="insufficient_capabilities_for_transfer", param="destination")
    transfer = objects.create(
        "transfer", "tr", amount=given["amount"], amount_reversed=0, currency=CURRENCY, destination=account["id"], reversed=False,
        description=given.get("description"), metadata=given.get("metadata", {}), transfer_group=given.get("transfer_group"),
        source_type="card",
    )  # fmt: skip
    entry = book("transfer", transfer["id"], -transfer["amount"])
    payment = _arrive(account, transfer)
    objects.change(transfer, balance_transaction=entry["id"], destination_payment=payment["id"])
    objects.emit("transfer.created", transfer)
    return transfer


def _arrive(account: Body, transfer: Body) -> Body:
    """The payment that the account sees, in its own currency."""
    currency, amount = account["default_currency"], converted(transfer["amount"], account)
    payment = objects.create(
        "charge", "py", of=account["id"], amount=amount, currency=currency, amount_refunded=0, source_transfer=transfer["id"], paid=True,
        status="succeeded", metadata={}, balance_transaction=None,
    )  # fmt: skip
    entry = book("payment", payment["id"], amount, currency=currency, of=account["id"])
    return objects.change(payment, balance_transaction=entry["id"])


def converted(cents: int, account: Body) -> int:
    """In the smallest unit of the account's currency, rounded down."""
    return cents * RATES_PPM[account["default_currency"]] // RATES_PPM[CURRENCY]


def read_transfer(params: Body, id: str) -> Body:
    check(params, {})
    return _with_reversals(objects.read("transfer", id))


def list_transfers(params: Body) -> Body:
    given = check(params, {**LISTING, "destination": str, "transfer_group": str})
    where: Body = {name: given[name] for name in ("destination", "transfer_group") if name in given}
    page = objects.page("transfer", "/v1/transfers", given, where=where)
    return {**page, "data": [_with_reversals(each) for each in page["data"]]}


def create_reversal(params: Body, id: str) -> Body:
    """Takes money back from the account, as far as it is still there."""
    given = check(params, {"amount": int, "description": str, "metadata": Free})
    transfer = objects.read("transfer", id)
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = given.get("amount", left)
    if left == 0:
        raise ApiError(f"Transfer {id} is already fully reversed.", code="transfer_already_reversed")
    if not 0 < amount <= left:
        raise ApiError(
            f"Amount to reverse ({amount}) is more than what is left of the transfer ({left}).", param="amount"
        )
    account = objects.read("account", transfer["destination"])
    due = converted(amount, account)
    if due > balance_of(account["id"]):
        raise ApiError(
            "Insufficient funds in your Stripe balance to reverse this transfer.", code="balance_insufficient"
        )
    reversal = objects.create(
        "transfer_reversal", "trr", amount=amount, currency=CURRENCY, transfer=id, metadata=given.get("metadata", {}),
        source_refund=None,
    )  # fmt: skip
    entry = book("transfer_refund", reversal["id"], amount)
    book(
        "payment_refund", transfer["destination_payment"], -due, currency=account["default_currency"], of=account["id"]
    )
    objects.change(reversal, balance_transaction=entry["id"])
    total = transfer["amount_reversed"] + amount
    objects.change(transfer, amount_reversed=total, reversed=total == transfer["amount"])
    objects.emit("transfer.reversed", _with_reversals(transfer))
    return reversal


def list_reversals(params: Body, id: str) -> Body:
    given = check(params, LISTING)
    objects.read("transfer", id)
    return objects.page("transfer_reversal", f"/v1/transfers/{id}/reversals", given, where={"transfer": id})


def read_reversal(params: Body, id: str, reversal: str) -> Body:
    check(params, {})
    found = objects.read("transfer_reversal", reversal)
    if found["transfer"] != id:
        raise ApiError(f"No such transfer reversal: '{reversal}'", status=404, code="resource_missing", param="id")
    return found


def balance_of(account: str) -> int:
    """What a connected account has, in the smallest unit of its currency."""
    return sum(entry["net"] for entry in objects.find("balance_transaction", of=account))


def _with_reversals(transfer: Body) -> Body:
    made = objects.find("transfer_reversal", transfer=transfer["id"])
    url = f"/v1/transfers/{transfer['id']}/reversals"
    return {**transfer, "reversals": {"object": "list", "data": made[::-1], "has_more": False, "url": url}}
