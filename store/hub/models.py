"""What the Hub protocol itself keeps: how often a model was downloaded."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import F, IntegerField, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from store.catalog.models import Listing

SHOWN_DAYS = 30  # the Hub's `downloads` are those of the last 30 days


class DownloadDayQuerySet(models.QuerySet["DownloadDay"]):
    def recent(self) -> DownloadDayQuerySet:
        return self.filter(day__gt=timezone.now().date() - timedelta(days=SHOWN_DAYS))


class DownloadDay(models.Model):
    """Downloads of a listing on a day (UTC), by others than its makers and the store's workers."""

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="download_days")
    day = models.DateField()
    count = models.PositiveIntegerField(default=0)

    objects = DownloadDayQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["listing", "day"], name="download_day_once")]

    def __str__(self) -> str:
        return f"{self.listing_id} on {self.day}: {self.count}"


def count_download(listing: Listing) -> None:
    """One more today, however many count at the same time."""
    day, _is_new = DownloadDay.objects.get_or_create(listing=listing, day=timezone.now().date())
    DownloadDay.objects.filter(pk=day.pk).update(count=F("count") + 1)


def recent_downloads(listing: Listing) -> int:
    """Downloads of the last SHOWN_DAYS days."""
    total = DownloadDay.objects.recent().filter(listing=listing).aggregate(total=Sum("count"))["total"]
    return total or 0


def downloads_of_row() -> Coalesce:
    """The same as an expression over Listing rows."""
    days = DownloadDay.objects.recent().filter(listing=OuterRef("pk")).order_by().values("listing")
    return Coalesce(Subquery(days.values(total=Sum("count"))), 0, output_field=IntegerField())
