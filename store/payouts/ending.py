"""How a payout moves from state to state, and the money with it: each once, whoever comes first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from store.billing.models import Place
from store.ledger import actions as ledger
from store.ledger.actions import NewTransfer
from store.ledger.models import TransferKind, WalletKind
from store.payouts.models import TRANSITIONS, Payout, PayoutStatus
from store.payouts.telling import tell_end

WATCH_EVERY = timedelta(days=1)  # a payout that was paid is looked at so often, for WATCH_DAYS: banks send money back
WATCH_DAYS = 10
MOST_MESSAGE = 500


def move(payout: Payout, to: PayoutStatus, *, expected: PayoutStatus, **fields: Any) -> bool:
    """Compare and set; False where somebody else was faster. Raises ValueError on a step that there is not."""
    if to not in TRANSITIONS[expected]:
        raise ValueError(f"a payout does not go from {expected} to {to}")
    is_mine = Payout.objects.filter(pk=payout.pk, status=expected).update(status=to, **fields) == 1
    payout.refresh_from_db()
    return is_mine


@transaction.atomic
def settle_paid(payout: Payout) -> bool:
    """The bank has it: what was in flight leaves the books, and the store has its fee."""
    later = timezone.now() + WATCH_EVERY
    if not move(
        payout, PayoutStatus.PAID, expected=PayoutStatus.IN_FLIGHT, finished_at=Now(), due_at=later, trouble=""
    ):
        return False
    in_flight = ledger.wallet_of(payout.organization_id, WalletKind.IN_FLIGHT).pk
    _move_money(
        (f"payout:{payout.pk}:paid", in_flight, bank_of(payout), payout.sent_nano, TransferKind.PAYOUT),
        (f"payout:{payout.pk}:fee", in_flight, _platform(), payout.fee_nano, TransferKind.PAYOUT_FEE),
    )
    tell_end(payout)
    return True


@transaction.atomic
def give_back(
    payout: Payout,
    to: PayoutStatus,
    *,
    expected: PayoutStatus = PayoutStatus.IN_FLIGHT,
    code: str = "",
    message: str = "",
) -> bool:
    """What is in flight is earnings again, and available at once."""
    ends = {
        "finished_at": Now(),
        "due_at": None,
        "trouble": "",
        "failure_code": code,
        "failure_message": message[:MOST_MESSAGE],
    }
    if not move(payout, to, expected=expected, **ends):
        return False
    in_flight = ledger.wallet_of(payout.organization_id, WalletKind.IN_FLIGHT).pk
    earnings = ledger.wallet_of(payout.organization_id, WalletKind.EARNINGS).pk
    _move_money((f"payout:{payout.pk}:back", in_flight, earnings, payout.amount_nano, TransferKind.RETURN))
    tell_end(payout)
    return True


@transaction.atomic
def undo_paid(payout: Payout, *, code: str, message: str) -> bool:
    """It had been paid, and has come back: all of it is earnings again, the fee too."""
    ends = {
        "due_at": None,
        "finished_at": Now(),
        "trouble": "",
        "failure_code": code,
        "failure_message": message[:MOST_MESSAGE],
    }
    if not move(payout, PayoutStatus.REVERSED, expected=PayoutStatus.PAID, **ends):
        return False
    earnings = ledger.wallet_of(payout.organization_id, WalletKind.EARNINGS).pk
    _move_money(
        (f"payout:{payout.pk}:undone", bank_of(payout), earnings, payout.sent_nano, TransferKind.RETURN),
        (f"payout:{payout.pk}:fee-undone", _platform(), earnings, payout.fee_nano, TransferKind.RETURN),
    )
    tell_end(payout)
    return True


def bank_of(payout: Payout) -> int:
    """The world that it goes to: one of its own for money that does not exist."""
    kind = WalletKind.BANK if payout.account.place == Place.LIVE else WalletKind.TEST_BANK
    return ledger.store_wallet(kind).pk


def _platform() -> int:
    return ledger.store_wallet(WalletKind.PLATFORM).pk


def _move_money(*moves: tuple[str, int, int, int, TransferKind]) -> None:
    """(key, from, to, nano-dollars, kind): all new, for the state has just been reached."""
    wanted = [
        NewTransfer(key=key, debit_id=debit, credit_id=credit, amount_nano=amount, kind=kind)
        for key, debit, credit, amount, kind in moves
        if amount
    ]
    if len(ledger.transfer_all(wanted)) != len(wanted):
        raise ValueError(f"{wanted[0].key} has moved already")
