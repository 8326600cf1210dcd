"""Admin classes for what nobody may change by hand."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.contrib import admin
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
    formats: ClassVar[
        dict[str, Callable[[Any], str]]
    ] = {}  # by the end of a column's name: later apps say how theirs are read

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        return [self._formatted(name) for name in super().get_fields(request, obj)]

    def _formatted(self, name: Any) -> Any:
        """The column as a person reads it, where its app has said how."""
        ending = next((end for end in self.formats if isinstance(name, str) and name.endswith(end)), None)
        if ending is None:
            return name
        label = str(self.model._meta.get_field(name).verbose_name).removesuffix(ending.replace("_", " "))

        @admin.display(description=label[:1].upper() + label[1:], empty_value="-")
        def shown(row: Any) -> str | None:
            value = getattr(row, name)
            return None if value is None else self.formats[ending](value)

        return shown


class ReadOnlyInline(_NobodyChanges, TabularInline):
    """Rows that belong to another one, to be looked at: every one of ``fields``, editable or not."""

    extra = 0
    show_change_link = True

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return tuple(self.fields or ())
