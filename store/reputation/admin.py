"""Reviews and figures, to be looked at. A moderator hides a review by the verb, from the moderation pages."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from store.ledger.admin import in_dollars
from store.reputation.models import ListingHour, Review, ReviewReport, RoyaltyHour
from store.staff.read_only import ReadOnlyAdmin


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ("listing", "user", "stars", "created_at", "edited_at", "hidden_at")
    list_filter = ("stars", "created_at")
    list_select_related = ("listing__organization", "user")
    search_fields = ("listing__slug", "user__email")


@admin.register(ReviewReport)
class ReviewReportAdmin(ReadOnlyAdmin):
    list_display = ("review", "user", "text", "created_at", "resolved_at")
    list_filter = ("created_at",)
    list_select_related = ("review", "user")


@admin.register(ListingHour)
class ListingHourAdmin(ReadOnlyAdmin):
    list_display = ("listing", "hour", "calls", "failed", "paid_calls", "output_tokens", "charge_nano", "royalty_nano")
    list_filter = ("hour",)
    list_select_related = ("listing__organization",)


@admin.register(RoyaltyHour)
class RoyaltyHourAdmin(ReadOnlyAdmin):
    list_display = ("organization", "listing", "hour", "calls", in_dollars("royalty_nano", _("royalty")))
    list_filter = ("hour",)
    list_select_related = ("organization", "listing__organization")
