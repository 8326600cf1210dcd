"""Money that goes back: refunds, and disputes while a bank decides and after.

What is left of the credit is taken; what was spent already is borne by the platform, and shown to the people who run the store. So no
consumer's wallet goes below zero, and nothing goes back unseen. Callers hold the lock on the organization's credit.
"""

from __future__ import annotations

from uuid import UUID

import stripe
from django.db.models.functions import Now

from store.billing.checkout import NANO_PER_CENT
from store.billing.clawing import claw_back_lost
from store.billing.grants import lock_and_count, own_nano, take_back
from store.billing.models import (
    Dispute,
    DisputeStatus,
    Quarantine,
    QuarantineReason,
    Refund,
    RefundOrder,
    RefundOrderStatus,
    Topup,
)
from store.billing.wallets import bank_of
from store.ledger import actions as ledger
from store.ledger.actions import NewTransfer
from store.ledger.models import HoldStatus, TransferKind, WalletKind

CLOSED = {"won": DisputeStatus.WON, "lost": DisputeStatus.LOST}
NO_LONGER_MONEY = ("failed", "canceled")  # of a refund: the money has come back


def book_refund(topup: Topup, refund: stripe.Refund) -> None:
    """Takes the amount out of the books, and puts it back if the refund fails later."""
    booked = Refund.objects.filter(pk=refund.id).first()
    if refund.status in NO_LONGER_MONEY:
        if booked:
            Refund.objects.filter(pk=booked.pk, failed_at=None).update(failed_at=Now())
            _move_back(f"refund:{booked.pk}:back", booked, bank_of(topup), TransferKind.REFUND)
        return
    if booked is None:
        order = _let_go(topup, refund)
        booked = Refund.objects.create(id=refund.id, topup=topup, **_parted(topup, refund.amount * NANO_PER_CENT))
        _take(
            f"refund:{booked.pk}", booked, bank_of(topup), TransferKind.REFUND, is_known=bool(order and order.of_spent)
        )
        if order:
            RefundOrder.objects.filter(pk=order.pk).update(refund=booked)
        _end_bonus(topup)


def book_dispute(topup: Topup, dispute: stripe.Dispute) -> None:
    """Freezes the amount when a dispute opens; lost, it leaves the books; won, it goes back to where it came from."""
    frozen = ledger.wallet_of(topup.organization_id, WalletKind.DISPUTED).pk
    booked = Dispute.objects.filter(pk=dispute.id).first()
    if booked is None:
        booked = Dispute.objects.create(id=dispute.id, topup=topup, **_parted(topup, dispute.amount * NANO_PER_CENT))
        _take(f"dispute:{booked.pk}", booked, frozen, TransferKind.DISPUTE)
    ends = CLOSED.get(dispute.status)
    if (
        ends is None
        or Dispute.objects.filter(pk=booked.pk, status=DisputeStatus.OPEN).update(status=ends, closed_at=Now()) != 1
    ):
        return
    if ends == DisputeStatus.WON:
        _move_back(f"dispute:{booked.pk}:won", booked, frozen, TransferKind.DISPUTE)
    else:
        ledger.transfer(
            key=f"dispute:{booked.pk}:lost", debit_id=frozen, credit_id=bank_of(topup), amount_nano=booked.amount_nano,
            kind=TransferKind.DISPUTE,
        )  # fmt: skip
        claw_back_lost(topup, booked)


def _let_go(topup: Topup, refund: stripe.Refund) -> RefundOrder | None:
    """The order that this refund was made for, done now, and its hold void: what it held is taken next, under the same lock."""
    try:
        id = UUID(str(getattr(refund.metadata, "order", "")))
    except ValueError:
        return None
    order = RefundOrder.objects.filter(pk=id, topup=topup).first()
    waiting = RefundOrder.objects.filter(pk=id, topup=topup, status=RefundOrderStatus.WAITING)
    if waiting.update(status=RefundOrderStatus.DONE, ended_at=Now()) == 1:
        ledger.resolve_holds([ledger.Resolution(hold_id=id, status=HoldStatus.VOIDED)])
    return order


def _end_bonus(topup: Topup) -> None:
    """Credit that was added to a payment stays in the proportion in which the payment does: what is left of the rest goes back."""
    if not topup.grants.open().exists():
        return
    stays = topup.paid_nano - sum(topup.refunds.filter(failed_at=None).values_list("amount_nano", flat=True))
    wallet = lock_and_count(topup.organization_id)
    for grant in topup.grants.open():
        allowed = grant.amount_nano * max(stays, 0) // topup.paid_nano
        amount = min(grant.left_nano, grant.spent_nano + grant.left_nano - allowed, wallet.available_nano)
        if amount > 0:
            take_back(grant, wallet, amount)
            wallet.refresh_from_db()


def _parted(topup: Topup, amount_nano: int) -> dict[str, int]:
    """What of an amount that goes back is tax, and what credit can bear. All that goes back together is all the tax, whatever was rounded."""
    back = [*topup.refunds.filter(failed_at=None), *topup.disputes.exclude(status=DisputeStatus.WON)]
    tax_left = topup.tax_nano - sum(each.tax_nano for each in back)
    is_last = sum(each.amount_nano for each in back) + amount_nano >= topup.paid_nano
    tax = tax_left if is_last else min(topup.tax_nano * amount_nano // topup.paid_nano, tax_left)
    return {
        "amount_nano": amount_nano, "tax_nano": tax, "from_credit_nano": _coverable(topup, amount_nano - tax),
    }  # fmt: skip


def _coverable(topup: Topup, amount_nano: int) -> int:
    """How much of an amount is there still of what was bought, and not held for a call under way. What was granted goes back to nobody."""
    purse = ledger.lock_credit([topup.organization_id])[topup.organization_id]
    return max(0, min(amount_nano, purse.available_nano, own_nano(topup.organization_id)))


def _take(key: str, booked: Refund | Dispute, to: int, kind: TransferKind, *, is_known: bool = False) -> None:
    """``is_known``: somebody has said that the platform is to bear what was spent."""
    ledger.transfer_all([
        NewTransfer(key=f"{key}:{name}", debit_id=wallet_id, credit_id=to, amount_nano=amount_nano, kind=kind)
        for name, wallet_id, amount_nano in _parts(booked)
    ])  # fmt: skip
    if booked.from_platform_nano and not is_known:
        Quarantine.objects.get_or_create(
            object_id=booked.pk, reason=QuarantineReason.SHORTFALL,
            defaults={"topup": booked.topup, "expected": f"{booked.amount_nano} unspent", "found": str(booked.from_credit_nano)},
        )  # fmt: skip


def _move_back(key: str, booked: Refund | Dispute, source: int, kind: TransferKind) -> None:
    ledger.transfer_all([
        NewTransfer(key=f"{key}:{name}", debit_id=source, credit_id=wallet_id, amount_nano=amount_nano, kind=kind)
        for name, wallet_id, amount_nano in _parts(booked)
    ])  # fmt: skip


def _parts(booked: Refund | Dispute) -> list[tuple[str, int, int]]:
    """(name, wallet, nano-dollars) of what the consumer, the platform and the tax office bear."""
    parts = [
        ("tax", ledger.store_wallet(WalletKind.TAX).pk, booked.tax_nano),
        ("credit", ledger.wallet_of(booked.topup.organization_id, WalletKind.CREDIT).pk, booked.from_credit_nano),
        ("platform", ledger.store_wallet(WalletKind.PLATFORM).pk, booked.from_platform_nano),
    ]
    return [part for part in parts if part[2]]
