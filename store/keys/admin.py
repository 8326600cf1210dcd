"""API keys as the store sees them: a prefix and limits, never a secret. They are changed by the verbs of ``keys.actions``."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from store.keys.models import ApiKey, Budget, BudgetUse
from store.ledger.admin import in_dollars
from store.staff.read_only import ReadOnlyAdmin, ReadOnlyInline


class BudgetInline(ReadOnlyInline):
    model = Budget
    fields = ("listing", "period", "limit_nano", "is_hard")


class BudgetUseInline(ReadOnlyInline):
    model = BudgetUse
    fields = ("starts_on", "used_nano", "refused_at")
    ordering = ("-starts_on",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = (
        "prefix",
        "name",
        "organization",
        "created_by",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "created_at", "expires_at")
    list_select_related = ("organization", "created_by")
    search_fields = ("prefix", "name", "organization__slug", "created_by__email")
    fields = (
        "prefix", "name", "organization", "created_by", "listings", "requests_per_minute", "tokens_per_minute", "max_parallel",
        "allowed_networks", "created_at", "expires_at", "old_until", "revoked_at", "last_used_at",
    )  # fmt: skip # named one by one: a digest is nobody's to look at
    inlines = (BudgetInline,)


@admin.register(Budget)
class BudgetAdmin(ReadOnlyAdmin):
    list_display = (
        "organization",
        "member",
        "api_key",
        "listing",
        "period",
        in_dollars("limit_nano", _("limit")),
        "is_hard",
    )
    list_filter = ("period", "is_hard")
    list_select_related = ("organization", "member", "api_key", "listing__organization")
    search_fields = ("organization__slug", "member__email", "api_key__prefix")
    inlines = (BudgetUseInline,)
