"""Who is paid, and what was: to be read. A payout that has not arrived can be tried again, under Actions."""

# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False
# (the packages subclassed here come without types)

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from store.ledger.admin import in_dollars
from store.payouts.actions import can_retry
from store.payouts.models import ConnectAccount, Payout, PayoutSchedule
from store.staff.asking import ask_for
from store.staff.read_only import ReadOnlyAdmin


@admin.register(ConnectAccount)
class ConnectAccountAdmin(ReadOnlyAdmin):
    list_display = (
        "organization",
        "place",
        "state",
        "stripe_id",
        "country",
        "currency",
        "disabled_reason",
        "looked_at",
    )
    list_filter = ("state", "place", "country", "currency")
    list_select_related = ("organization",)
    search_fields = ("=stripe_id", "organization__slug")
    ordering = ("-id",)


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "organization", "status", in_dollars("amount_nano", _("amount")), in_dollars("fee_nano", _("fee")), "arrived_minor",
        "arrived_currency", "failure_code", "trouble", "due_at", "created_at", "finished_at",
    )  # fmt: skip
    list_filter = ("status", "origin", "account__place", "arrived_currency", "created_at")
    list_select_related = ("organization", "account")
    search_fields = ("=id", "=stripe_transfer", "=stripe_payout", "organization__slug")
    ordering = ("-id",)
    actions_detail = ("retry",)

    @action(description=_("Try again"), icon="replay", permissions=["retry"], url_path="retry")
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return ask_for("retry_payout", payout=object_id)

    def has_retry_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Where there is something to try again."""
        row = self.get_object(request, object_id) if object_id else None
        return request.user.has_perm("backoffice.run_payouts") and (row is None or can_retry(row))


@admin.register(PayoutSchedule)
class PayoutScheduleAdmin(ReadOnlyAdmin):
    list_display = ("organization", "interval", in_dollars("minimum_nano", _("minimum")), "next_at", "skipped")
    list_filter = ("interval",)
    list_select_related = ("organization",)
    search_fields = ("organization__slug",)
    ordering = ("-id",)
