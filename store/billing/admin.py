"""Money that came in, to be read."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from store.billing.models import Topup
from store.ledger.admin import in_dollars
from store.staff.read_only import ReadOnlyAdmin


@admin.register(Topup)
class TopupAdmin(ReadOnlyAdmin):
    list_display = ("id", "organization", in_dollars("amount_nano", _("amount")), "mode", "created_by", "created_at")
    list_filter = ("mode", "created_at")
    list_select_related = ("organization", "created_by")
    search_fields = ("=id", "organization__slug", "created_by__email")
    ordering = ("-created_at",)
