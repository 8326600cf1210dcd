"""Admin classes for what nobody may change by hand."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline


class _NobodyChanges:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(_NobodyChanges, ModelAdmin):
    """Rows can be looked at; not even a superuser adds, changes or deletes one."""

    actions: tuple[str, ...] | None = None
    list_per_page = 50
    show_full_result_count = False  # counting millions of rows for a footer is not worth it


class ReadOnlyInline(_NobodyChanges, TabularInline):
    """Rows that belong to another one, to be looked at: every one of ``fields``, editable or not."""

    extra = 0
    show_change_link = True

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return tuple(self.fields or ())
