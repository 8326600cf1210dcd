"""Plans, subscriptions and their months, to be looked at: providers and customers change them by the verbs."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from store.ledger.admin import in_dollars
from store.staff.read_only import ReadOnlyAdmin, ReadOnlyInline
from store.subscriptions.models import Subscription, SubscriptionPeriod, SubscriptionPlan


class PeriodInline(ReadOnlyInline):
    model = SubscriptionPeriod
    fields = ("plan", "starts_at", "ends_at", "charge_nano", "credit_nano", "used_input", "used_output")
    ordering = ("-id",)


@admin.register(SubscriptionPlan)
class SubscriptionPlanAdmin(ReadOnlyAdmin):
    list_display = (
        "name", "listing", in_dollars("price_nano", _("price a month")), "included_tokens", "included_input", "included_output",
        "created_at", "retired_at",
    )  # fmt: skip
    list_filter = (("retired_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("listing__organization",)
    search_fields = ("name", "listing__slug", "listing__organization__slug")
    ordering = ("-id",)


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = (
        "organization",
        "listing",
        "plan",
        "status",
        "is_cancelled",
        "due_at",
        "attempts",
        "end_reason",
        "created_at",
    )
    list_filter = ("status", "is_cancelled", "end_reason", "created_at")
    list_select_related = ("organization", "listing__organization", "plan")
    search_fields = ("organization__slug", "listing__slug", "listing__organization__slug")
    inlines = (PeriodInline,)
    ordering = ("-id",)


@admin.register(SubscriptionPeriod)
class SubscriptionPeriodAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "organization", "listing", "plan", in_dollars("charge_nano", _("charge")), in_dollars("credit_nano", _("credit")),
        "used_input", "used_output", "starts_at", "ends_at",
    )  # fmt: skip
    list_filter = ("starts_at",)
    list_select_related = ("organization", "listing__organization", "plan")
    search_fields = ("organization__slug", "listing__slug")
    ordering = ("-id",)
