"""The form by which the people who run the store add a rule of commission: percent, as they speak of it."""

# mypy: disallow-subclassing-any=False
# (the widgets come without types)

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget

from store.catalog.actions.commissions import CommissionSpec, check_reason
from store.catalog.categories import CATEGORIES
from store.catalog.models import CommissionRule, CommissionScope
from store.errors import InvalidRequest

PPM_PER_PERCENT = 10_000


class CommissionForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own is not generic while it runs
    """Checked by the verb that adds the rule."""

    percent = forms.DecimalField(
        label=_("Commission, %"), min_value=0, max_value=100, decimal_places=4, max_digits=7, widget=UnfoldAdminDecimalFieldWidget()
    )  # fmt: skip
    category = forms.ChoiceField(label=_("Category"), required=False, widget=UnfoldAdminSelectWidget())

    class Meta:
        model = CommissionRule
        fields = ("name", "scope", "category", "provider", "percent", "starts_at", "ends_at", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "category" in self.fields:
            self.fields["category"].choices = [  # type: ignore[attr-defined]
                ("", _("All")), *((one.slug, one.label) for one in CATEGORIES.values()),
            ]  # fmt: skip

    def spec(self) -> CommissionSpec:
        """What was filled in, of a form whose fields are well-formed."""
        said = self.cleaned_data
        percent: Decimal = said["percent"]
        return CommissionSpec(
            name=said["name"], scope=CommissionScope(said["scope"]), ppm=int(percent * PPM_PER_PERCENT), category=said["category"],
            provider=said["provider"], starts_at=said["starts_at"], ends_at=said["ends_at"],
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if not self.errors:
            try:
                self.spec().check()
                check_reason(said["reason"])
                self.instance.ppm = self.spec().ppm
            except InvalidRequest as error:
                self.add_error("percent" if error.param == "ppm" else error.param, error.message)
        return said
