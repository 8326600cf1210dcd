"""What a provider sells, and what it brought."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import Case, Count, F, Q, Sum, Value, When

from store.accounts.models import Organization
from store.catalog.models import Listing, ListingQuerySet
from store.console.shelf import priced
from store.console.usage import first_id
from store.ledger.models import Transfer, TransferKind, Wallet
from store.runs.models import RunStatus

DAYS = 30


def sold(organization: Organization) -> ListingQuerySet:
    """The organization's listings with the price in force, and the runs of the last DAYS days: ``runs_lately``, ``tokens_lately``,
    ``charged_lately`` (before the store's share)."""
    lately = Q(runs__id__gte=first_id(datetime.now(UTC) - timedelta(days=DAYS))) & ~Q(runs__status=RunStatus.OPEN)
    return priced(Listing.objects.filter(organization=organization)).annotate(
        runs_lately=Count("runs", filter=lately),
        tokens_lately=Sum(
            Case(When(runs__charge_nano__gt=0, then=F("runs__prompt_tokens") + F("runs__output_tokens")), default=Value(0)),
            filter=lately, default=0,
        ),
        charged_lately=Sum("runs__charge_nano", filter=lately, default=0),
    ).order_by("slug")  # fmt: skip


def earned_lately_nano(earnings: Wallet) -> int:
    """What came into the earnings wallet from usage in the last DAYS days."""
    if earnings.pk is None:
        return 0
    since = datetime.now(UTC) - timedelta(days=DAYS)
    usage = Transfer.objects.filter(credit=earnings, kind=TransferKind.USAGE, created_at__gte=since)
    return int(usage.aggregate(total=Sum("amount_nano", default=0))["total"])
