"""The monthly proof of a provider: what the ledger says of a month, with a digest by which anybody can check that nothing was changed since.

The digest is the SHA-256 of the month's lines: every transfer into and out of the earnings wallet, in the order in which they happened, as
``<id>,<time>,<key>,<kind>,<in|out>,<dollars>`` and a newline each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from django.core import signing
from django.core.cache import cache
from django.db.models import Q, QuerySet, Sum
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.backoffice.journal import decimal
from store.backoffice.period import DAY, Period, month_of
from store.errors import NotFound
from store.ledger.models import Transfer, TransferKind, Wallet, WalletKind
from store.payouts.models import Payout, PayoutStatus
from store.reputation.models import ListingHour

SALT: Final = "store.backoffice.proofs"
KEPT_S: Final = 24 * 3600  # a month that is over never changes: its digest is computed once a day
CHUNK: Final = 2_000
MONTHS: Final = 24  # that are offered


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """A provider's month. Amounts in nano-dollars."""

    organization: Organization
    month: Period
    calls: int
    charge_nano: int  # what customers paid for calls
    earned_nano: int  # the provider's own share of calls and trainings
    royalty_nano: int  # from models that were made of the provider's
    paid_out_nano: int  # payouts of the month that arrived
    opening_nano: int  # of the earnings wallet
    closing_nano: int
    transfers: int
    digest: str
    is_over: bool  # it does not change any more

    @property
    def name(self) -> str:
        return f"{self.month.since:%Y-%m}"


def months_of(organization: Organization) -> list[Period]:
    """The months of which there can be a proof, the newest first: since the organization is there."""
    month = month_of(datetime.now(UTC).date())
    found: list[Period] = []
    while month.until > organization.created_at.date() and len(found) < MONTHS:
        found.append(month)
        month = month_of(month.since - DAY)
    return found


def month_named(organization: Organization, name: str) -> Period:
    """``2026-11``. Raises NotFound."""
    for month in months_of(organization):
        if f"{month.since:%Y-%m}" == name:
            return month
    raise NotFound(_("There is no proof of this month."))


def link_of(organization: Organization, month: Period) -> str:
    """What makes a proof readable to whoever has it: signed, so nobody makes one for another month or provider."""
    return signing.dumps([organization.pk, f"{month.since:%Y-%m}"], salt=SALT, compress=True)


def proof_behind(link: str) -> Proof:
    """Raises NotFound where the link was not made here."""
    try:
        organization_id, name = signing.loads(link, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        raise NotFound(_("This link leads nowhere.")) from None
    organization = Organization.objects.filter(pk=organization_id).first()
    if organization is None:
        raise NotFound(_("This link leads nowhere."))
    return proof_of(organization, month_named(organization, name))


def proof_of(organization: Organization, month: Period) -> Proof:
    """The month, from the ledger; calls and what they cost from the hours that are counted."""
    wallet = Wallet.objects.filter(organization=organization, kind=WalletKind.EARNINGS).first()
    hours = ListingHour.objects.filter(
        listing__organization=organization, hour__gte=month.starts_at, hour__lt=month.ends_at
    )
    counted = hours.aggregate(calls=Sum("calls"), charge=Sum("charge_nano"))
    paid = Payout.objects.filter(
        organization=organization,
        status=PayoutStatus.PAID,
        finished_at__gte=month.starts_at,
        finished_at__lt=month.ends_at,
    )
    moved = _moved(wallet, month) if wallet else Transfer.objects.none()
    into = moved.filter(credit=wallet).aggregate(
        usage=Sum("amount_nano", filter=Q(kind=TransferKind.USAGE)), royalty=Sum("amount_nano", filter=Q(kind=TransferKind.ROYALTY)),
    )  # fmt: skip
    count, digest = _digest(organization, month)
    return Proof(
        organization=organization, month=month, calls=counted["calls"] or 0, charge_nano=counted["charge"] or 0,
        earned_nano=into["usage"] or 0, royalty_nano=into["royalty"] or 0,
        paid_out_nano=paid.aggregate(sum=Sum("amount_nano"))["sum"] or 0,
        opening_nano=_balance(wallet, month.since), closing_nano=_balance(wallet, month.until), transfers=count, digest=digest,
        is_over=_is_over(month),
    )  # fmt: skip


def lines(organization: Organization, month: Period) -> Iterator[str]:
    """What the digest is over, a line at a time."""
    wallet = Wallet.objects.filter(organization=organization, kind=WalletKind.EARNINGS).first()
    if wallet is None:
        return
    rows = (
        _moved(wallet, month).order_by("id").values_list("id", "created_at", "key", "kind", "credit_id", "amount_nano")
    )
    for id, at, key, kind, credit_id, nano in rows.iterator(CHUNK):
        yield f"{id},{at.isoformat()},{key},{kind},{'in' if credit_id == wallet.pk else 'out'},{decimal(nano)}\n"


def _digest(organization: Organization, month: Period) -> tuple[int, str]:
    key = f"proof:{organization.pk}:{month.since}"
    kept: tuple[int, str] | None = cache.get(key) if _is_over(month) else None
    if kept is not None:
        return kept
    count, digest = 0, hashlib.sha256()
    for line in lines(organization, month):
        digest.update(line.encode())
        count += 1
    cache.set(key, (count, digest.hexdigest()), KEPT_S)
    return count, digest.hexdigest()


def _is_over(month: Period) -> bool:
    """An hour after its end: no transaction is open for longer."""
    return datetime.now(UTC) - month.ends_at > DAY / 24


def _moved(wallet: Wallet, month: Period) -> QuerySet[Transfer]:
    both = Transfer.objects.filter(Q(debit=wallet) | Q(credit=wallet))
    return both.filter(created_at__gte=month.starts_at, created_at__lt=month.ends_at)


def _balance(wallet: Wallet | None, day: date) -> int:
    """Of the earnings as the day began: what has moved since is taken off what they are now."""
    if wallet is None:
        return 0
    since = Transfer.objects.filter(Q(debit=wallet) | Q(credit=wallet), created_at__gte=Period(day, day).starts_at)
    moved = since.aggregate(
        entered=Sum("amount_nano", filter=Q(credit=wallet)), left=Sum("amount_nano", filter=Q(debit=wallet))
    )
    return wallet.posted_nano - (moved["entered"] or 0) + (moved["left"] or 0)
