"""What payouts can refuse."""

from __future__ import annotations

from store.errors import Conflict, InvalidRequest


class AccountNotReady(Conflict):
    """Stripe does not pay this organization yet, or not any more."""

    code = "payout_account_not_ready"
    default_message = "Set up payouts with Stripe first: it has to know who is paid, and where."


class AccountRejected(Conflict):
    """Stripe refuses to pay this organization."""

    code = "payout_account_rejected"
    default_message = "Stripe has rejected this account. Write to the people who run the store."


class InsufficientEarnings(Conflict):
    """Less is available than was asked for, or than the minimum."""

    code = "insufficient_earnings"
    default_message = "There is not enough to pay out."


class PayoutPending(Conflict):
    """Another payout of the organization waits to be sent."""

    code = "payout_pending"
    default_message = "A payout is pending already. Cancel it, or wait until it is on its way."


class PayoutNotInState(Conflict):
    """The payout is too far on, or has ended."""

    code = "payout_not_in_state"
    default_message = "The payout has moved on meanwhile. Look at it again."


class MixedMoney(Conflict):
    """Real money and test money are in the same books, so nobody can say which of them was earned."""

    code = "mixed_money"
    default_message = "The books of this store hold test money and real money, so nothing can be paid out. The people who run it have to look."


class BelowMinimum(InvalidRequest):
    """Less than a payout may be."""

    code = "below_payout_minimum"
