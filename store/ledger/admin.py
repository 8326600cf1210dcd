"""The books, to be read. Money moves by the verbs of the ledger only, so nothing here can be added, changed or deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from store.ledger.dollars import dollars
from store.ledger.models import EarningsRelease, Freeze, Hold, SharesPlan, Transfer, Wallet
from store.staff.read_only import ReadOnlyAdmin

ReadOnlyAdmin.formats["_nano"] = dollars


def in_dollars(field: str, description: Any) -> Callable[[Any], str]:
    """A column that shows an amount of nano-dollars in full; ``description`` is its head, lazily translated."""

    @admin.display(description=description, ordering=field)
    def shown(row: Any) -> str:
        return dollars(getattr(row, field))

    return shown


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    fields = ("organization", "kind", "posted_nano", "held_nano", "credited_nano", "created_at")
    list_display = (
        "__str__",
        "kind",
        in_dollars("posted_nano", _("posted")),
        in_dollars("held_nano", _("held")),
        "created_at",
    )
    list_filter = ("kind",)
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "organization__name")


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ("key", "kind", "debit", "credit", in_dollars("amount_nano", _("amount")), "created_at")
    # A figure of the dashboard is a link to its rows: by what moved, between which kinds of wallets, and whose.
    list_filter = ("kind", "debit__kind", "credit__kind", "created_at")
    list_select_related = ("debit__organization", "credit__organization")
    search_fields = ("=key", "debit__organization__slug", "credit__organization__slug")
    ordering = ("-id",)


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "wallet", "status", in_dollars("amount_nano", _("amount")), in_dollars("captured_nano", _("captured")), "created_at",
        "expires_at", "resolved_at",
    )  # fmt: skip
    list_filter = ("status", "created_at")
    list_select_related = ("wallet__organization",)
    search_fields = ("=id", "wallet__organization__slug")
    ordering = ("-id",)


@admin.register(SharesPlan)
class SharesPlanAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "commission_ppm", "royalty_organizations", "royalty_ppms", "cap_ppm", "rest", "rest_is_royalty", "created_at",
    )  # fmt: skip
    list_select_related = ("rest",)
    search_fields = ("=id", "rest__slug")
    ordering = ("-id",)


@admin.register(Freeze)
class FreezeAdmin(ReadOnlyAdmin):
    list_display = ("organization", "what", "created_at", "lifted_at")
    list_filter = ("what", ("lifted_at", admin.EmptyFieldListFilter))
    list_select_related = ("organization",)
    search_fields = ("organization__slug",)
    ordering = ("-id",)


@admin.register(EarningsRelease)
class EarningsReleaseAdmin(ReadOnlyAdmin):
    list_display = ("wallet", in_dollars("credited_nano", _("of all that came in")), "created_at")
    list_filter = ("created_at",)
    list_select_related = ("wallet__organization",)
    search_fields = ("wallet__organization__slug",)
    ordering = ("-id",)
