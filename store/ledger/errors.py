"""What the ledger can refuse."""

from __future__ import annotations

from store.errors import StoreError


class InsufficientCredit(StoreError):
    """The wallet cannot hold the worst case of what was asked."""

    code = "insufficient_credit"
    status = 402
    default_message = "The balance does not cover this request. Add credit to go on."


class SpendingFrozen(StoreError):
    """The people who run the store have frozen what this organization spends."""

    code = "spending_frozen"
    status = 403
    default_message = "The spending of this organization is frozen. Write to the people who run this store."


class PayoutsFrozen(StoreError):
    """The people who run the store have frozen the payouts of this organization."""

    code = "payouts_frozen"
    status = 403
    default_message = "The payouts of this organization are frozen. Write to the people who run this store."
