"""The verbs of payouts that people use. What happens at Stripe is in ``sending``; how one ends, in ``ending``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Organization, User
from store.billing.models import Place
from store.errors import InvalidRequest
from store.ledger import actions as ledger
from store.ledger.dollars import dollars
from store.ledger.earnings import Earnings, hold_back, lock_earnings
from store.ledger.freezing import check_payouts
from store.ledger.models import TransferKind, WalletKind
from store.outbox import send_after_commit
from store.payouts.accounts import ready_account, require_cashier
from store.payouts.ending import give_back
from store.payouts.errors import BelowMinimum, InsufficientEarnings, MixedMoney, PayoutNotInState, PayoutPending
from store.payouts.fees import Quote, quote
from store.payouts.models import (
    ENDED_UNPAID,
    ConnectAccount,
    Interval,
    Origin,
    Payout,
    PayoutSchedule,
    PayoutStatus,
)

ADVANCE_TASK: Final = "payouts.advance"


def request_payout(*, organization: Organization, user: User, amount_nano: int | None = None) -> Payout:
    """Takes earnings that are available, all of them or at most ``amount_nano``, to be sent to the organization's account.

    Raises NotFound, PermissionDenied, AccountNotReady, MixedMoney, PayoutPending, PayoutsFrozen, BelowMinimum, InsufficientEarnings.
    """
    require_cashier(organization, user)
    return _begin(organization, user=user, amount_nano=amount_nano, origin=Origin.ON_DEMAND)


def request_scheduled(organization: Organization, *, minimum_nano: int) -> Payout:
    """The same for all that is available, as the schedule asks for it; the least is the organization's own. Raises as it does."""
    return _begin(organization, user=None, amount_nano=None, origin=Origin.SCHEDULED, minimum_nano=minimum_nano)


def request_by_store(organization: Organization, *, amount_nano: int) -> Payout:
    """The same, as the people who run the store ask for it. Raises as it does."""
    return _begin(organization, user=None, amount_nano=amount_nano, origin=Origin.STORE)


def retry_payout(*, payout: Payout, user: User) -> Payout:
    """Another payout of the same amount, for one that has not arrived. Raises PayoutNotInState, and what ``request_payout`` raises."""
    require_cashier(payout.organization, user)
    return _retry(payout, user, Origin.ON_DEMAND)


def retry_by_store(payout: Payout) -> Payout:
    """The same, as the people who run the store ask for it. Raises as it does."""
    return _retry(payout, None, Origin.STORE)


def can_retry(payout: Payout) -> bool:
    """Whether it has ended without arriving, and was not tried again."""
    return payout.status in ENDED_UNPAID and not Payout.objects.filter(retry_of=payout).exists()


def check_retry(payout: Payout) -> None:
    """Raises PayoutNotInState."""
    if not can_retry(payout):
        raise PayoutNotInState(_("Only a payout that has not arrived can be tried again, and once."))


def _retry(payout: Payout, user: User | None, origin: Origin) -> Payout:
    check_retry(payout)
    return _begin(payout.organization, user=user, amount_nano=payout.amount_nano, origin=origin, retry_of=payout)


@transaction.atomic
def cancel_payout(*, payout: Payout, user: User) -> Payout:
    """Puts the amount back into the earnings while nothing was sent. Raises NotFound, PermissionDenied, PayoutNotInState."""
    require_cashier(payout.organization, user)
    if not give_back(payout, PayoutStatus.CANCELLED, expected=PayoutStatus.PENDING):
        raise PayoutNotInState(_("It is on its way already, or has ended."))
    return payout


@transaction.atomic
def set_schedule(*, organization: Organization, user: User, interval: str, minimum_nano: int = 0) -> PayoutSchedule:
    """When the organization is paid by itself, from ``minimum_nano`` on. Raises NotFound, PermissionDenied, InvalidRequest."""
    require_cashier(organization, user)
    if interval not in Interval.values:
        raise InvalidRequest(_("There is no such interval."), param="interval")
    if minimum_nano and minimum_nano < settings.PAYOUT_MINIMUM_NANO:
        raise BelowMinimum(
            _("The least is %(least)s.") % {"least": dollars(settings.PAYOUT_MINIMUM_NANO)}, param="minimum_nano"
        )
    chosen = Interval(interval)
    schedule, _is_new = PayoutSchedule.objects.update_or_create(
        organization=organization,
        defaults={
            "interval": chosen, "minimum_nano": minimum_nano, "next_at": next_time(chosen, timezone.now()), "skipped": "",
        },
    )  # fmt: skip
    return schedule


def next_time(interval: Interval, after: datetime) -> datetime | None:
    """The next midnight (UTC) at which a payout is asked for; None for by hand."""
    tomorrow = after.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    match interval:
        case Interval.DAILY:
            return tomorrow
        case Interval.WEEKLY:
            return tomorrow + timedelta(days=-tomorrow.weekday() % 7)
        case Interval.MONTHLY:
            return (after.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return None


def _begin(
    organization: Organization, *, user: User | None, amount_nano: int | None, origin: Origin, minimum_nano: int = 0,
    retry_of: Payout | None = None,
) -> Payout:  # fmt: skip
    account = ready_account(organization)
    _require_one_kind_of_money(account)
    with transaction.atomic():
        earnings = lock_earnings(organization.pk)
        check_payouts(organization)
        if Payout.objects.filter(organization=organization, status=PayoutStatus.PENDING).exists():
            raise PayoutPending
        asked = _quote(earnings, amount_nano, minimum_nano)
        now = timezone.now()
        before = (
            Payout.objects.filter(organization=organization).exclude(status__in=ENDED_UNPAID).order_by("-pk").first()
        )
        payout = Payout.objects.create(
            id=uuid7(), organization=organization, account=account, origin=origin, amount_nano=asked.amount_nano, fee_nano=asked.fee_nano,
            available_nano=earnings.available_nano, created_by=user, retry_of=retry_of, due_at=now + timedelta(seconds=settings.PAYOUT_GRACE_S),
            earned_from=before.earned_until if before else None, earned_until=now - hold_back(),
        )  # fmt: skip
        ledger.transfer(
            key=f"payout:{payout.pk}", debit_id=earnings.wallet_id or 0, amount_nano=payout.amount_nano, kind=TransferKind.PAYOUT,
            credit_id=ledger.wallet_of(organization.pk, WalletKind.IN_FLIGHT).pk,
        )  # fmt: skip
        if not settings.PAYOUT_GRACE_S:
            send_after_commit(ADVANCE_TASK, str(payout.pk))
    return payout


def _quote(earnings: Earnings, amount_nano: int | None, minimum_nano: int) -> Quote:
    least = max(settings.PAYOUT_MINIMUM_NANO, minimum_nano)
    words = {"available": dollars(earnings.available_nano), "least": dollars(least)}
    if amount_nano is not None and amount_nano < least:
        raise BelowMinimum(_("The least that is paid out at once is %(least)s.") % words, param="amount_nano")
    if amount_nano is not None and amount_nano > earnings.available_nano:
        raise InsufficientEarnings(_("%(available)s are available, which is less.") % words, param="amount_nano")
    if earnings.available_nano < least:
        raise InsufficientEarnings(_("%(available)s are available; the least that is paid out is %(least)s.") % words)
    quoted = quote(earnings.available_nano if amount_nano is None else amount_nano)
    if not quoted.sent_nano:
        raise BelowMinimum(_("That does not cover the fee of a payout and one cent."), param="amount_nano")
    return quoted


def _require_one_kind_of_money(account: ConnectAccount) -> None:
    """Nobody is paid real money for calls that were paid with test money, nor the other way round.

    A wallet does not know which of its units are real. It need not, as long as the books hold one kind only: then all of them are.
    """
    other = WalletKind.TEST_BANK if account.place == Place.LIVE else WalletKind.BANK
    if ledger.store_wallet(other).posted_nano:
        raise MixedMoney
