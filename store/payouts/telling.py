"""Who is told what became of a payout, or of the account that it goes to: the people with the money's roles, and webhooks."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from store.accounts.models import Organization, User
from store.catalog.models import Notice, NoticeKind
from store.ledger.dollars import dollars
from store.outbox import send_after_commit
from store.payouts.models import CASHIERS, ConnectAccount, Payout, PayoutStatus
from store.webhooks.actions import emit

PAGE = "/provider/payouts"


def tell_end(payout: Payout) -> None:
    """Inside the transaction that ends it: told once, as it is ended once. Who cancels knows it already."""
    if payout.status == PayoutStatus.CANCELLED:
        return
    is_paid = payout.status == PayoutStatus.PAID
    emit(organization=payout.organization, type="payout.paid" if is_paid else "payout.failed", data=said_of(payout))
    about = {
        "organization": payout.organization.slug, "amount": dollars(payout.sent_nano), "url": f"{settings.PUBLIC_URL}{PAGE}/{payout.pk}",
        "back": dollars(payout.amount_nano), "reason": payout.failure_message, "code": payout.failure_code,
    }  # fmt: skip
    _mail(payout.organization, NoticeKind.PAYOUT_PAID if is_paid else NoticeKind.PAYOUT_FAILED, about)


def tell_account(account: ConnectAccount) -> None:
    """The account was ready, and is not any more."""
    about = {
        "organization": account.organization.slug,
        "state": account.get_state_display(),
        "url": settings.PUBLIC_URL + PAGE,
    }
    _mail(account.organization, NoticeKind.PAYOUT_ACCOUNT, about)


def said_of(payout: Payout) -> dict[str, Any]:
    """What webhooks are told. Nano-dollars; ``arrived`` is what the bank was sent, in its currency's smallest unit."""
    return {
        "id": str(payout.pk),
        "object": "payout",
        "organization": payout.organization.slug,
        "status": payout.status,
        "amount_nano": payout.amount_nano,
        "fee_nano": payout.fee_nano,
        "sent_nano": payout.sent_nano,
        "arrived": payout.arrived_minor,
        "currency": payout.arrived_currency or None,
        "failure_code": payout.failure_code or None,
        "failure_message": payout.failure_message or None,
    }


def _mail(organization: Organization, kind: NoticeKind, about: dict[str, str]) -> None:
    people = User.objects.filter(
        memberships__organization=organization, memberships__role__in=CASHIERS, is_active=True
    ).distinct()
    Notice.objects.bulk_create([Notice(user=user, kind=kind, context=about) for user in people])
    send_after_commit("mail.notices")
