"""What a provider sells, and what it brought."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import Case, Count, F, Prefetch, Q, Sum, Value, When

from store.accounts.models import Organization
from store.catalog.models import Listing, ListingQuerySet, Submission
from store.console.shelf import priced
from store.ledger.models import Transfer, TransferKind, Wallet
from store.reputation.periods import first_id
from store.runs.models import RunStatus

DAYS = 30
EARNED = (TransferKind.USAGE, TransferKind.ROYALTY)


def sold(organization: Organization) -> ListingQuerySet:
    """The organization's listings with the price in force, ``newest_submissions`` (one, or none), and the runs of the last DAYS days:
    ``runs_lately``, ``tokens_lately``, ``charged_lately`` (before the store's share)."""
    lately = Q(runs__id__gte=first_id(datetime.now(UTC) - timedelta(days=DAYS))) & ~Q(runs__status=RunStatus.OPEN)
    newest = Submission.objects.order_by("listing_id", "-id").distinct("listing_id")
    return priced(Listing.objects.filter(organization=organization, deleted_at=None)).annotate(
        runs_lately=Count("runs", filter=lately),
        tokens_lately=Sum(
            Case(When(runs__charge_nano__gt=0, then=F("runs__prompt_tokens") + F("runs__output_tokens")), default=Value(0)),
            filter=lately, default=0,
        ),
        charged_lately=Sum("runs__charge_nano", filter=lately, default=0),
    ).prefetch_related(Prefetch("submissions", queryset=newest, to_attr="newest_submissions")).order_by("slug")  # fmt: skip


def earned_lately_nano(earnings: Wallet) -> int:
    """What came into the earnings wallet from usage and royalties in the last DAYS days."""
    if earnings.pk is None:
        return 0
    since = datetime.now(UTC) - timedelta(days=DAYS)
    earned = Transfer.objects.filter(credit=earnings, kind__in=EARNED, created_at__gte=since)
    return int(earned.aggregate(total=Sum("amount_nano", default=0))["total"])
