"""The index, to be looked at: it is made from the catalog."""

from __future__ import annotations

from django.contrib import admin

from store.discovery.models import ListingIndex, Tier
from store.staff.read_only import ReadOnlyAdmin


@admin.register(ListingIndex)
class ListingIndexAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "task",
        "category",
        "rating",
        "rating_count",
        "trending",
        "uptime",
        "calls_30d",
        "refreshed_at",
    )
    list_filter = ("category", "task", "status")
    search_fields = ("=name", "=slug", "=provider")
    exclude = ("keys", "tiered", "heading", "facets")


@admin.register(Tier)
class TierAdmin(ReadOnlyAdmin):
    list_display = ("sort", "level", "threshold", "is_ready", "made_at")
