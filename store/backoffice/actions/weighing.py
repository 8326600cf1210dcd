"""What a wish comes to: whether it is whole and possible, as far as that can be known now, and the amount that counts for four eyes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.backoffice.actions.wish import Wish
from store.backoffice.models import ActionKind
from store.billing.grants import MAX_DAYS, MAX_GRANT_NANO
from store.billing.refunding import check_refund, unspent_nano
from store.errors import InvalidRequest
from store.ledger.dollars import MAX_DOLLARS, NANO_PER_DOLLAR
from store.ledger.earnings import earnings_of
from store.payouts.actions import check_retry

MOST_NANO: Final = MAX_DOLLARS * NANO_PER_DOLLAR


def weigh(wish: Wish) -> Wish:
    """The wish, with its amount where it follows from the books.

    Raises InvalidRequest, NotRefundable and PayoutNotInState, naming the field (``amount``, ``organization``, ``credit``, ``topup``, ``code``, ...).
    """
    if wish.amount_nano is not None and not 0 < wish.amount_nano <= MOST_NANO:
        raise InvalidRequest(_("The amount must be above 0 and at most $1,000,000."), param="amount")
    return WEIGHERS.get(wish.kind, _of_organization)(wish)


def _of_organization(wish: Wish) -> Wish:
    _owner(wish)
    return wish


def _owner(wish: Wish) -> Organization:
    if wish.organization is None:
        raise InvalidRequest(_("Choose an organization."), param="organization")
    return wish.organization


def _grant(wish: Wish) -> Wish:
    if not (wish.days and 0 < wish.days <= MAX_DAYS and 0 < (wish.amount_nano or 0) <= MAX_GRANT_NANO):
        raise InvalidRequest(_("A grant is at most $10,000, and can be spent for one to 3650 days."), param="amount")
    return _of_organization(wish)


def _adjust(wish: Wish) -> Wish:
    if wish.debit is None or wish.credit is None or wish.amount_nano is None:
        raise InvalidRequest(_("Choose two wallets and an amount."), param="credit")
    if wish.debit == wish.credit:
        raise InvalidRequest(_("Choose two different wallets."), param="credit")
    return wish


def _refund(wish: Wish) -> Wish:
    """Without an amount: all that is not spent now. What that is when it is done is looked at again then, under a lock."""
    if wish.topup is None:
        raise InvalidRequest(_("Choose a payment."), param="topup")
    unspent = unspent_nano(wish.topup)
    amount = unspent if wish.amount_nano is None else wish.amount_nano
    if not amount:
        raise InvalidRequest(_("Nothing of this payment is left unspent. Say how much goes back."), param="amount")
    check_refund(topup=wish.topup, amount_nano=amount, unspent_nano=unspent, of_spent=wish.of_spent)
    return replace(wish, amount_nano=amount, organization=wish.topup.organization)


def _promo_code(wish: Wish) -> Wish:
    """All that the code can ever give; no amount where nothing limits that."""
    if wish.code_terms is None:
        raise InvalidRequest(_("Say what the code is good for."), param="code")
    for param, said in wish.code_terms.problems().items():
        raise InvalidRequest(said, param=param.removesuffix("_nano"))
    most = wish.code_terms.most_ever_nano
    if most is not None and not 0 < most <= MOST_NANO:
        raise InvalidRequest(_("All uses together give more than $0 and at most $1,000,000."), param="total_limit")
    return replace(wish, amount_nano=most)


def _pay_out(wish: Wish) -> Wish:
    """All that is available now."""
    available = earnings_of(_owner(wish).pk).available_nano
    if not available:
        raise InvalidRequest(_("Nothing of its earnings is available."), param="organization")
    return replace(wish, amount_nano=available)


def _retry(wish: Wish) -> Wish:
    if wish.payout is None:
        raise InvalidRequest(_("Choose a payout."), param="payout")
    check_retry(wish.payout)
    return replace(wish, amount_nano=wish.payout.amount_nano, organization=wish.payout.organization)


def _release(wish: Wish) -> Wish:
    """All that is held back now."""
    held = earnings_of(_owner(wish).pk).held_back_nano
    if not held:
        raise InvalidRequest(_("Nothing of its earnings is held back."), param="organization")
    return replace(wish, amount_nano=held)


def _end_code(wish: Wish) -> Wish:
    if wish.code is None:
        raise InvalidRequest(_("Choose a code."), param="code")
    return wish


WEIGHERS: Final[dict[ActionKind, Callable[[Wish], Wish]]] = {
    ActionKind.GRANT: _grant,
    ActionKind.ADJUST: _adjust,
    ActionKind.REFUND: _refund,
    ActionKind.PROMO_CODE: _promo_code,
    ActionKind.END_CODE: _end_code,
    ActionKind.PAYOUT: _pay_out,
    ActionKind.RETRY_PAYOUT: _retry,
    ActionKind.RELEASE_HOLD_BACK: _release,
}
