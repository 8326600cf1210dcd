"""Automatic top-ups: below a threshold the saved card is charged, once at a time, up to a ceiling in a month.

No call does any of this: a clock looks for balances that are low. What is under way is a row (``AutoTopup.current``) before Stripe is asked, so
that an answer which was lost is found again. A card that is declined is tried again later, and after MAX_FAILURES in a row no more.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

import stripe
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Organization, User
from store.billing.actions import MAX_TOPUP_NANO, require_buyer
from store.billing.cards import card_of
from store.billing.charging import Refused, charge
from store.billing.checkout import MIN_TOPUP_NANO, NANO_PER_CENT, mode_now, open_session
from store.billing.details import details_of
from store.billing.letters import write_to_buyers
from store.billing.models import AutoTopup, Card, OffReason, Topup, TopupStatus
from store.billing.stripe_client import unavailable
from store.errors import Conflict, InvalidRequest, StoreError
from store.ledger.actions import wallet_of
from store.ledger.dollars import dollars
from store.ledger.models import Wallet, WalletKind
from store.webhooks.actions import emit

MAX_FAILURES: Final = 3
AGAIN: Final = (timedelta(hours=1), timedelta(hours=6))  # after the first and the second time
CHARGING: Final = timedelta(minutes=2)  # who charges has so long before another looks what became of it
CEILING: Final = timedelta(hours=1)  # between two looks where the month's ceiling is reached
MAX_MONTH_NANO: Final = 100_000 * 10**9
BATCH: Final = 100

logger = logging.getLogger(__name__)


@transaction.atomic
def set_auto_topup(
    *, organization: Organization, user: User, threshold_nano: int, amount_nano: int, month_nano: int
) -> AutoTopup:
    """Switches automatic top-ups on, with these terms. Raises NotFound, PermissionDenied, Conflict, InvalidRequest naming the field."""
    require_buyer(organization, user)
    if card_of(organization) is None:
        raise Conflict(_("Save a card first."))
    if settings.STRIPE_TAX and not details_of(organization).country:
        raise Conflict(_("Tell your country in the billing details first: the tax depends on it."))
    wrong = {
        "amount": not MIN_TOPUP_NANO <= amount_nano <= MAX_TOPUP_NANO or amount_nano % NANO_PER_CENT,
        "threshold": not 0 <= threshold_nano <= MAX_TOPUP_NANO,
        "month": not amount_nano <= month_nano <= MAX_MONTH_NANO,
    }
    said = {
        "amount": _("The amount must be whole cents, at least $1 and at most $10,000."),
        "threshold": _("Between $0 and $10,000."),
        "month": _("At least one top-up, and at most $100,000."),
    }
    for param, is_wrong in wrong.items():
        if is_wrong:
            raise InvalidRequest(said[param], param=param)
    wallet_of(organization.pk, WalletKind.CREDIT)
    terms = {"threshold_nano": threshold_nano, "amount_nano": amount_nano, "month_nano": month_nano}
    AutoTopup.objects.update_or_create(
        organization=organization,
        defaults={**terms, "is_on": True, "failures": 0, "off_reason": "", "due_at": timezone.now()},
    )
    return AutoTopup.objects.get(organization=organization)


@transaction.atomic
def switch_off(*, organization: Organization, user: User) -> None:
    """No further top-ups; one under way is brought to its end. Raises NotFound, PermissionDenied."""
    require_buyer(organization, user)
    AutoTopup.objects.filter(organization=organization).update(is_on=False, off_reason="")


def due_auto_topups() -> list[int]:
    """Ids of organizations whose balance is low, or with a top-up under way."""
    low = Wallet.objects.filter(
        organization=OuterRef("pk"), kind=WalletKind.CREDIT, posted_nano__lt=F("held_nano") + OuterRef("threshold_nano")
    )
    due = AutoTopup.objects.filter(due_at__lte=timezone.now()).filter(
        Q(current__isnull=False) | (Q(is_on=True) & Exists(low))
    )
    return list(due.order_by("due_at").values_list("pk", flat=True)[:BATCH])


def run_auto_topup(organization_id: int) -> None:
    """Tops up once if it is due, and writes down what came of it."""
    topup = _begin(organization_id)
    if topup is None:
        return
    card = card_of(topup.organization)
    try:
        refused = charge(topup, card) if card else Refused(code=OffReason.CARD, message="")
    except InvalidRequest as error:  # a tax id that Stripe does not take
        refused = Refused(code=error.code, message=error.message)
    except stripe.StripeError as error:
        logger.warning("automatic top-up %s is taken up again: %s", topup.pk, error)
        return
    _end(organization_id, topup, card, refused)


@transaction.atomic
def _begin(organization_id: int) -> Topup | None:
    """The top-up to be paid now: the one under way, or a new one. None where another is at it, or nothing is due."""
    now = timezone.now()
    auto = AutoTopup.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        pk=organization_id, due_at__lte=now
    ).select_related("organization", "current").first()  # fmt: skip
    if auto is None:
        return None
    if auto.current is None and not _is_low(auto):
        return None
    if auto.current is None and _spent_in_month(auto, now) + auto.amount_nano > auto.month_nano:
        AutoTopup.objects.filter(pk=auto.pk).update(due_at=now + CEILING)
        _tell(auto, "auto_topup_ceiling", key=f"{now:%Y-%m}")
        return None
    topup = auto.current or Topup.objects.create(
        id=uuid7(), organization=auto.organization, amount_nano=auto.amount_nano, mode=mode_now(), status=TopupStatus.PENDING,
        is_automatic=True,
    )  # fmt: skip
    AutoTopup.objects.filter(pk=auto.pk).update(current=topup, due_at=now + CHARGING)
    topup.refresh_from_db()
    return topup


def _is_low(auto: AutoTopup) -> bool:
    credit = auto.organization.wallets.filter(kind=WalletKind.CREDIT).first()
    return auto.is_on and credit is not None and credit.available_nano < auto.threshold_nano


def _spent_in_month(auto: AutoTopup, now: datetime) -> int:
    """Nano-dollars of credit that were bought by itself since the month began, UTC."""
    begun = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    mine = Topup.objects.filter(
        organization=auto.pk,
        is_automatic=True,
        created_at__gte=begun,
        status__in=(TopupStatus.PAID, TopupStatus.PENDING),
    )
    return int(mine.aggregate(sum=Sum("amount_nano"))["sum"] or 0)


@transaction.atomic
def _end(organization_id: int, topup: Topup, card: Card | None, refused: Refused | None) -> None:
    auto = AutoTopup.objects.select_for_update(of=("self",)).select_related("organization").get(pk=organization_id)
    if auto.current_id != topup.pk:
        return
    now = timezone.now()
    if refused is None:
        AutoTopup.objects.filter(pk=auto.pk).update(current=None, failures=0, due_at=now)
        _emit(auto, "auto_topup.succeeded", topup)
        return
    ends = TopupStatus.PENDING if refused.needs_payer else TopupStatus.DECLINED
    Topup.objects.filter(pk=topup.pk, status=TopupStatus.PENDING).update(status=ends)
    topup.refresh_from_db()
    failures = auto.failures + 1
    is_off = failures >= MAX_FAILURES or card is None
    again = AGAIN[min(failures, len(AGAIN)) - 1]
    AutoTopup.objects.filter(pk=auto.pk).update(
        current=None, failures=failures, due_at=now + again, is_on=auto.is_on and not is_off,
        off_reason=(OffReason.DECLINED if card else OffReason.CARD) if is_off else "",
    )  # fmt: skip
    template = "auto_topup_authenticate" if refused.needs_payer else "auto_topup_declined"
    _tell(auto, "auto_topup_off" if is_off else template, key=str(topup.pk), topup=topup, refused=refused)
    _emit(auto, "auto_topup.disabled" if is_off else "auto_topup.failed", topup, code=refused.code)


def _tell(
    auto: AutoTopup, template: str, *, key: str, topup: Topup | None = None, refused: Refused | None = None
) -> None:
    page = f"{settings.PUBLIC_URL}/wallet/automatic"
    if topup and refused and refused.needs_payer:
        page = f"{settings.PUBLIC_URL}/wallet/top-ups/{topup.pk}"
    context = {
        "amount": dollars(auto.amount_nano), "month": dollars(auto.month_nano), "why": refused.message if refused else "", "url": page,
    }  # fmt: skip
    write_to_buyers(auto.organization, key=f"{template}:{auto.pk}:{key}", template=template, context=context)


def _emit(auto: AutoTopup, type: str, topup: Topup, *, code: str | None = None) -> None:
    data = {
        "id": str(topup.pk), "object": "topup", "amount_nano": topup.amount_nano, "status": topup.status, "error_code": code,
    }  # fmt: skip
    emit(organization=auto.organization, type=type, data=data)


class NothingToPay(StoreError):
    """The top-up is paid, or cannot be paid any more."""

    code = "nothing_to_pay"
    status = 409
    default_message = "This top-up is paid, or has ended."


def pay_on_session(*, topup: Topup, user: User) -> str:
    """The address of a page on which a top-up that waits is paid by somebody who is there. Raises NothingToPay, StripeUnavailable."""
    require_buyer(topup.organization, user)
    if topup.status != TopupStatus.PENDING or AutoTopup.objects.filter(current=topup).exists():
        raise NothingToPay
    try:
        return str(open_session(topup).url)
    except stripe.StripeError as error:
        raise unavailable() from error
