"""What people were told of budgets, for those who run the store."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from store.ledger.admin import in_dollars
from store.staff.read_only import ReadOnlyAdmin
from store.usage.models import BudgetAlert


@admin.register(BudgetAlert)
class BudgetAlertAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at", "use", "percent", in_dollars("spent_nano", _("spent")), in_dollars("limit_nano", _("limit")),
    )  # fmt: skip
    list_filter = ("created_at", "percent")
    list_select_related = ("use__budget__organization", "use__budget__member", "use__budget__api_key")
    search_fields = ("use__budget__organization__slug",)
