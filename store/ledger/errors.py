"""What the ledger can refuse."""

from __future__ import annotations

from store.errors import StoreError


class InsufficientCredit(StoreError):
    """The wallet cannot hold the worst case of what was asked."""

    code = "insufficient_credit"
    status = 402
    default_message = "The balance does not cover this request. Add credit to go on."
