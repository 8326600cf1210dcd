"""Runs and the processes that carried them, to be read."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from store.ledger.admin import in_dollars
from store.runs.models import FreeUse, Gateway, Run
from store.staff.read_only import ReadOnlyAdmin


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "organization", "listing", "api_key", "status", "prompt_tokens", "output_tokens", in_dollars("charge_nano", _("charge")), in_dollars("free_nano", _("free")), "shares", "attempts", "opened_at",
    )  # fmt: skip
    list_filter = ("status", "endpoint", "finish_reason", "error_code", "opened_at")
    list_select_related = ("organization", "listing__organization", "api_key", "shares")
    search_fields = ("=id", "=request_id", "organization__slug", "api_key__prefix", "listing__slug")
    ordering = ("-id",)


@admin.register(Gateway)
class GatewayAdmin(ReadOnlyAdmin):
    list_display = ("id", "started_at", "heartbeat_at", "suspected_at")
    ordering = ("-heartbeat_at",)


@admin.register(FreeUse)
class FreeUseAdmin(ReadOnlyAdmin):
    list_display = ("organization", "listing", "starts_on", in_dollars("used_nano", _("used")))
    list_filter = ("starts_on",)
    list_select_related = ("organization", "listing__organization")
    search_fields = ("organization__slug", "listing__slug")
