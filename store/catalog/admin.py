"""What is for sale. A release and a price never change; a listing's words and standing may."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from store.catalog.models import Blob, Listing, Price, Release, ReleaseFile
from store.ledger.admin import in_dollars
from store.staff.read_only import ReadOnlyAdmin, ReadOnlyInline


class ReleaseInline(ReadOnlyInline):
    model = Release
    fk_name = "listing"
    fields = ("number", "digest", "architecture", "parameters", "size", "created_at")


class PriceInline(ReadOnlyInline):
    model = Price
    fields = ("input_nano", "cached_input_nano", "output_nano", "request_nano", "starts_at", "created_by")
    ordering = ("-starts_at",)


class FileInline(ReadOnlyInline):
    model = ReleaseFile
    fields = ("path", "blob")


@admin.register(Listing)
class ListingAdmin(ModelAdmin):
    list_display = ("name", "title", "status", "is_private", "licence", "published_at")
    list_filter = ("status", "is_private", "licence", "created_at")
    list_select_related = ("organization",)
    search_fields = ("slug", "title", "summary", "organization__slug")
    readonly_fields = ("organization", "slug", "status", "current_release", "created_at", "published_at")
    inlines = (PriceInline, ReleaseInline)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a listing begins with its first release

    def has_delete_permission(self, request: HttpRequest, obj: Listing | None = None) -> bool:
        return False  # runs and prices name it: withdraw or suspend instead


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ("listing", "number", "digest", "architecture", "parameters", "context_length", "size", "created_at")
    list_filter = ("architecture", "created_at")
    list_select_related = ("listing__organization",)
    search_fields = ("=digest", "listing__slug", "listing__organization__slug")
    inlines = (FileInline,)


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    list_display = (
        "listing",
        in_dollars("input_nano", _("input / 1M")),
        in_dollars("cached_input_nano", _("cached input / 1M")),
        in_dollars("output_nano", _("output / 1M")),
        in_dollars("request_nano", _("per request")),
        "starts_at",
        "created_by",
    )
    list_filter = ("starts_at",)
    list_select_related = ("listing__organization", "created_by")
    search_fields = ("listing__slug", "listing__organization__slug")


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "size", "created_at")
    search_fields = ("=sha256",)
