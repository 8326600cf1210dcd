"""What organizations keep: its limit is the one number that the store's people set by hand."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from store.catalog.models import StorageUse
from store.catalog.storage import LimitTooLow, set_limit
from store.staff.read_only import ReadOnlyAdmin
from store.uploads.models import Upload


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]
    """A limit in bytes."""

    class Meta:
        model = StorageUse
        fields = ("limit_bytes",)

    def clean_limit_bytes(self) -> int:
        limit: int = self.cleaned_data["limit_bytes"]
        if limit < 0:
            raise forms.ValidationError(_("A limit is 0 bytes or more."))
        if self.instance.reserved_bytes and limit < self.instance.used_bytes + self.instance.reserved_bytes:
            raise forms.ValidationError(_("Uploads are on their way that need more than this."))
        return limit


@admin.register(StorageUse)
class StorageUseAdmin(ModelAdmin):
    form = LimitForm
    list_display = ("organization", "used_bytes", "reserved_bytes", "limit_bytes")
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "organization__name")
    fields = ("organization", "used_bytes", "reserved_bytes", "limit_bytes")
    readonly_fields = ("organization", "used_bytes", "reserved_bytes")
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: StorageUse, form: LimitForm, change: bool) -> None:
        """By the verb, for a plain save would write back counters that have moved meanwhile."""
        try:
            set_limit(organization=obj.organization, limit_bytes=obj.limit_bytes)
        except LimitTooLow as error:  # an upload began between the form's check and now
            messages.error(request, error.message)


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ("path", "organization", "size", "status", "purpose", "created_at", "expires_at")
    list_filter = ("status", "purpose", "created_at")
    list_select_related = ("organization",)
    search_fields = ("path", "organization__slug", "=sha256")
    ordering = ("-created_at",)
