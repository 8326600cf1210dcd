"""The books, to be read. Money moves by the verbs of the ledger only, so nothing here can be added, changed or deleted."""

from __future__ import annotations

from django.contrib import admin

from store.ledger.models import Hold, Transfer, Wallet
from store.staff.read_only import ReadOnlyAdmin


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "kind", "posted_nano", "held_nano", "available_nano", "created_at")
    list_filter = ("kind",)
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "organization__name")


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ("key", "kind", "debit", "credit", "amount_nano", "created_at")
    list_filter = ("kind", "created_at")
    list_select_related = ("debit__organization", "credit__organization")
    search_fields = ("=key", "debit__organization__slug", "credit__organization__slug")
    ordering = ("-id",)


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ("id", "wallet", "status", "amount_nano", "captured_nano", "created_at", "expires_at", "resolved_at")
    list_filter = ("status", "created_at")
    list_select_related = ("wallet__organization",)
    search_fields = ("=id", "wallet__organization__slug")
    ordering = ("-id",)
