"""What each action comes to, in the transaction that says that it is done. All of them are verbs of the apps that they concern."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.utils import timezone

from store.accounts.models import Organization
from store.backoffice.errors import NotEnough
from store.backoffice.models import ActionKind, AdminAction
from store.billing.grants import grant_credit
from store.billing.promo import end_code, make_code
from store.billing.refunding import order_refund
from store.ledger import actions as ledger
from store.ledger.earnings import release
from store.ledger.freezing import freeze, lift
from store.ledger.models import Frozen, TransferKind, WalletKind
from store.payouts.actions import request_by_store, retry_by_store

MAY_BE_NEGATIVE: Final = (WalletKind.PLATFORM, WalletKind.BANK, WalletKind.TEST_BANK)


def do(action: AdminAction) -> None:
    """Does what the row says, once. Raises NotEnough, and the StoreErrors of the verbs: then nothing was done."""
    DOERS[ActionKind(action.kind)](action)


def _grant(action: AdminAction) -> None:
    """Its days begin when it is given, not when it was asked for. The grant has the action's id."""
    assert action.amount_nano is not None
    assert action.days is not None
    grant_credit(
        id=action.pk, organization=_whose(action), amount_nano=action.amount_nano, expires_at=timezone.now() + timedelta(days=action.days),
        reason=action.note, user=action.requested_by,
    )  # fmt: skip


def _adjust(action: AdminAction) -> None:
    assert action.debit_id is not None
    assert action.credit_id is not None
    kinds = {wallet.pk: wallet.kind for wallet in (action.debit, action.credit) if wallet}
    available = ledger.lock_wallets(kinds)
    if kinds[action.debit_id] not in MAY_BE_NEGATIVE and available[action.debit_id] < (action.amount_nano or 0):
        raise NotEnough(param="amount")
    ledger.transfer(
        key=f"admin:{action.pk}", debit_id=action.debit_id, credit_id=action.credit_id, amount_nano=action.amount_nano or 0,
        kind=TransferKind.CORRECTION,
    )  # fmt: skip


def _refund(action: AdminAction) -> None:
    """Writes the order, which has the action's id. Stripe is asked once this has committed."""
    assert action.topup is not None
    assert action.amount_nano is not None
    order_refund(
        id=action.pk, topup=action.topup, amount_nano=action.amount_nano, reason=action.reason, by=action.requested_by,
        of_spent=action.of_spent,
    )  # fmt: skip


def _make_code(action: AdminAction) -> None:
    assert action.code_terms is not None
    make_code(user=action.requested_by, terms=action.code_terms)


def _end_code(action: AdminAction) -> None:
    assert action.code is not None
    end_code(code=action.code, user=action.requested_by)


def _pay_out(action: AdminAction) -> None:
    """What was available when it was asked for, to the bank account that the organization has named."""
    assert action.amount_nano is not None
    request_by_store(_whose(action), amount_nano=action.amount_nano)


def _retry(action: AdminAction) -> None:
    assert action.payout is not None
    retry_by_store(action.payout)


def _release(action: AdminAction) -> None:
    """What was held back when it was asked for, less what became available or was clawed back since."""
    assert action.earnings_mark is not None
    release(organization_id=_whose(action).pk, mark_id=action.earnings_mark)


def _whose(action: AdminAction) -> Organization:
    assert action.organization is not None
    return action.organization


def _freezes(what: Frozen) -> Callable[[AdminAction], None]:
    def doer(action: AdminAction) -> None:
        freeze(organization=_whose(action), what=what)

    return doer


def _lifts(what: Frozen) -> Callable[[AdminAction], None]:
    def doer(action: AdminAction) -> None:
        lift(organization=_whose(action), what=what)

    return doer


DOERS: Final[dict[ActionKind, Callable[[AdminAction], None]]] = {
    ActionKind.GRANT: _grant,
    ActionKind.ADJUST: _adjust,
    ActionKind.REFUND: _refund,
    ActionKind.PROMO_CODE: _make_code,
    ActionKind.END_CODE: _end_code,
    ActionKind.FREEZE_SPENDING: _freezes(Frozen.SPENDING),
    ActionKind.LIFT_SPENDING: _lifts(Frozen.SPENDING),
    ActionKind.FREEZE_PAYOUTS: _freezes(Frozen.PAYOUTS),
    ActionKind.LIFT_PAYOUTS: _lifts(Frozen.PAYOUTS),
    ActionKind.PAYOUT: _pay_out,
    ActionKind.RETRY_PAYOUT: _retry,
    ActionKind.RELEASE_HOLD_BACK: _release,
}
