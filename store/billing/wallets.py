"""Which wallet of the store stands for the world outside."""

from __future__ import annotations

from store.billing.models import Topup, TopupMode
from store.ledger.actions import store_wallet
from store.ledger.models import WalletKind


def bank_of(topup: Topup) -> int:
    """Where its money came from, and goes back to: a bank of its own for money that does not exist."""
    return store_wallet(WalletKind.BANK if topup.mode == TopupMode.LIVE else WalletKind.TEST_BANK).pk
