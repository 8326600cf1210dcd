"""What a provider was and will be paid, as its pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Sum

from store.accounts.models import Organization
from store.ledger.earnings import Earnings, earnings_of, releases
from store.ledger.models import TransferKind, WalletKind
from store.payouts.accounts import account_of
from store.payouts.actions import can_retry
from store.payouts.fees import Quote, quote
from store.payouts.history import PaidFor, paid_for
from store.payouts.models import AccountState, ConnectAccount, Payout, PayoutSchedule, PayoutStatus

PER_PAGE = 25
NO_DECIMALS = {
    "jpy",
    "krw",
    "vnd",
    "clp",
    "xaf",
    "xof",
    "xpf",
    "ugx",
    "rwf",
    "pyg",
    "mga",
    "kmf",
    "gnf",
    "djf",
    "bif",
    "vuv",
}


@dataclass(frozen=True, slots=True)
class DayRelease:
    """What becomes available on a day (UTC)."""

    day: date
    amount_nano: int


@dataclass(frozen=True, slots=True)
class PayoutPage:
    """``older`` is the id before which the next page begins, None on the last."""

    payouts: list[Payout]
    older: UUID | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an organization has earned and where it is. ``next_quote``: what a payout of all that is available would be."""

    earnings: Earnings
    in_flight_nano: int
    paid_nano: int
    days: list[DayRelease]
    account: ConnectAccount | None
    schedule: PayoutSchedule
    next_quote: Quote

    @property
    def is_ready(self) -> bool:
        return self.account is not None and self.account.state == AccountState.ACTIVE

    @property
    def is_enough(self) -> bool:
        return bool(self.earnings.available_nano >= settings.PAYOUT_MINIMUM_NANO)


def standing(organization: Organization) -> Standing:
    earnings = earnings_of(organization.pk)
    flying = organization.wallets.filter(kind=WalletKind.IN_FLIGHT).values_list("posted_nano", flat=True).first()
    paid = organization.payouts.filter(status=PayoutStatus.PAID).aggregate(sum=Sum("amount_nano", default=0))["sum"]
    by_day = groupby(releases(earnings), key=lambda one: one.at.date())
    return Standing(
        earnings=earnings, in_flight_nano=flying or 0, paid_nano=int(paid), account=account_of(organization),
        days=[DayRelease(day, sum(one.amount_nano for one in some)) for day, some in by_day],
        schedule=PayoutSchedule.objects.filter(organization=organization).first() or PayoutSchedule(organization=organization),
        next_quote=quote(earnings.available_nano),
    )  # fmt: skip


def payout_page(organization: Organization, *, before: UUID | None) -> PayoutPage:
    """The newest payouts that are older than ``before``."""
    found = organization.payouts.order_by("-pk")
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found[: PER_PAGE + 1])
    return PayoutPage(rows[:PER_PAGE], rows[PER_PAGE - 1].pk if len(rows) > PER_PAGE else None)


def shown_payout(payout: Payout) -> dict[str, Any]:
    """What its page shows: where it went, and which earnings it pays."""
    return {
        "payout": payout, "arrived": arrived(payout), "paid_for": [(row, kind_of(row)) for row in paid_for(payout)],
        "retried_by": Payout.objects.filter(retry_of=payout).first(), "can_cancel": payout.status == PayoutStatus.PENDING,
        "can_retry": can_retry(payout),
    }  # fmt: skip


def kind_of(row: PaidFor) -> str:
    return str(TransferKind(row.kind).label)


def arrived(payout: Payout) -> str:
    """``90.00 EUR``; empty where nothing was sent to a bank yet."""
    if payout.arrived_minor is None:
        return ""
    currency = payout.arrived_currency
    if currency in NO_DECIMALS:
        return f"{payout.arrived_minor:,} {currency.upper()}"
    return f"{payout.arrived_minor // 100:,}.{payout.arrived_minor % 100:02d} {currency.upper()}"
