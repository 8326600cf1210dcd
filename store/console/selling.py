"""What a provider sells, and what it brought."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Case, Count, F, FilteredRelation, Prefetch, Q, Sum, Value, When
from django.utils import timezone

from store.accounts.models import Organization
from store.catalog.models import Listing, ListingQuerySet, Submission
from store.console.shelf import priced
from store.ledger.models import Transfer, TransferKind, Wallet
from store.runs.ids import first_id
from store.runs.models import CLOCKS_DIFFER, RunStatus

DAYS = 30
EARNED = (TransferKind.USAGE, TransferKind.ROYALTY)


def sold(organization: Organization) -> ListingQuerySet:
    """The organization's listings with the price in force, ``newest_submissions`` (one, or none), and the runs of the last DAYS days:
    ``runs_lately``, ``tokens_lately``, ``charged_lately`` (before the store's share)."""
    now = timezone.now()
    ids = Q(runs__id__gte=first_id(now - timedelta(days=DAYS)), runs__id__lt=first_id(now + CLOCKS_DIFFER))
    lately = FilteredRelation("runs", condition=ids & ~Q(runs__status=RunStatus.OPEN))
    newest = Submission.objects.order_by("listing_id", "-id").distinct("listing_id")
    return priced(Listing.objects.filter(organization=organization, deleted_at=None)).annotate(lately=lately).annotate(
        runs_lately=Count("lately"),
        tokens_lately=Sum(
            Case(When(lately__charge_nano__gt=0, then=F("lately__prompt_tokens") + F("lately__output_tokens")), default=Value(0)),
            default=0,
        ),
        charged_lately=Sum("lately__charge_nano", default=0),
    ).prefetch_related(Prefetch("submissions", queryset=newest, to_attr="newest_submissions")).order_by("slug")  # fmt: skip


def earned_lately_nano(earnings: Wallet) -> int:
    """What came into the earnings wallet from usage and royalties in the last DAYS days."""
    if earnings.pk is None:
        return 0
    since = timezone.now() - timedelta(days=DAYS)
    earned = Transfer.objects.filter(credit=earnings, kind__in=EARNED, created_at__gte=since)
    return int(earned.aggregate(total=Sum("amount_nano", default=0))["total"])
