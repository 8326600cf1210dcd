"""Files of training data and trainings, to be read. Jobs change by their verbs only, for each of them holds money."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from store.ledger.admin import in_dollars
from store.staff.read_only import ReadOnlyAdmin, ReadOnlyInline
from store.tuning.models import DataFile, DataImport, TuneCheckpoint, TuneEvent, TuneJob


class EventInline(ReadOnlyInline):
    model = TuneEvent
    fields = ("created_at", "level", "message")
    ordering = ("-id",)


class CheckpointInline(ReadOnlyInline):
    model = TuneCheckpoint
    fields = ("step", "trained_tokens", "loss", "val_loss", "release", "created_at")
    ordering = ("-step",)


@admin.register(TuneJob)
class TuneJobAdmin(ReadOnlyAdmin):
    list_display = (
        "public_id", "organization", "method", "status", "step", "steps", "attempts", "trained_tokens",
        in_dollars("charge_nano", _("charge")), "error_code", "lease_until", "created_at",
    )  # fmt: skip
    list_filter = ("status", "method", "adaptation", "error_code", "created_at")
    list_select_related = ("organization",)
    search_fields = ("=public_id", "=model_name", "organization__slug", "base__listing__slug")
    inlines = (CheckpointInline, EventInline)
    ordering = ("-id",)


@admin.register(DataFile)
class DataFileAdmin(ReadOnlyAdmin):
    """What the files hold is their owners' business: only what they are is here."""

    fields = (
        "public_id", "organization", "filename", "purpose", "size", "sha256", "status", "status_details", "format", "examples",
        "created_by", "created_at", "expires_at", "deleted_at",
    )  # fmt: skip
    list_display = (
        "public_id",
        "organization",
        "filename",
        "purpose",
        "size",
        "status",
        "format",
        "examples",
        "created_at",
        "deleted_at",
    )
    list_filter = ("purpose", "status", "format", "created_at")
    list_select_related = ("organization",)
    search_fields = ("=public_id", "filename", "organization__slug", "=sha256")
    ordering = ("-id",)


@admin.register(DataImport)
class DataImportAdmin(ReadOnlyAdmin):
    list_display = (
        "public_id", "organization", "repo_id", "config", "split", "status", "rows", "size", "attempts", "error", "created_at",
    )  # fmt: skip
    list_filter = ("status", "created_at")
    list_select_related = ("organization",)
    search_fields = ("=public_id", "repo_id", "organization__slug")
    ordering = ("-id",)
