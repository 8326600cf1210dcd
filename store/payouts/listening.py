"""What Stripe tells of accounts and payouts, and what the store's webhooks tell on. An event only says where to look."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from store.billing.inbox import Watcher
from store.payouts.accounts import look_at_account
from store.payouts.models import ConnectAccount, Payout
from store.payouts.sending import advance, look_again
from store.webhooks.event_types import EventType

PAID = {
    "id": "0192f0c1-7b1e-7cc3-9f53-2f6f4f0f5e11", "object": "payout", "organization": "acme", "status": "paid",
    "amount_nano": 25_250_000_000, "fee_nano": 250_000_000, "sent_nano": 25_000_000_000, "arrived": 2500, "currency": "usd",
    "failure_code": None, "failure_message": None,
}  # fmt: skip
EVENT_TYPES = (
    EventType("payout.paid", _("A payout has reached the bank account of the organization."), PAID),
    EventType(
        "payout.failed",
        _("A payout was not taken, or came back. The money is among the earnings again."),
        {
            **PAID,
            "status": "failed",
            "failure_code": "account_closed",
            "failure_message": "The bank account has been closed.",
        },
    ),
)


def _knows(stripe_account: str) -> bool:
    return ConnectAccount.objects.filter(stripe_id=stripe_account).exists()


def _act(type: str, object_id: str, stripe_account: str) -> None:
    """Raises stripe.StripeError: the event is taken up again."""
    if type.startswith("account."):
        account = ConnectAccount.objects.select_related("organization").get(stripe_id=stripe_account)
        look_at_account(account)
    elif type.startswith("transfer."):
        destination = (
            Payout.objects.filter(stripe_transfer=object_id).values_list("account__stripe_id", flat=True).first()
        )
        _look(destination or "")
    elif type.startswith("payout."):
        _look(stripe_account)


def _look(stripe_account: str) -> None:
    for payout_id in look_again(stripe_account):
        advance(payout_id)


WATCHER = Watcher(prefix="transfer.", knows=_knows, act=_act)
