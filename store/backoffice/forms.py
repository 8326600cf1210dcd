"""What the pages of the back office read: shapes only."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from store.backoffice.period import DAY, PRESETS, USUAL, Period, preset

MOST: Final = timedelta(days=3 * 366)


def _date_widget() -> Any:
    return UnfoldAdminTextInputWidget(attrs={"type": "date"})


class PeriodForm(forms.Form):
    """A preset, or two days. What is no day is the usual preset, and says so."""

    period = forms.ChoiceField(
        label=_("Period"), required=False, initial=USUAL, choices=[*PRESETS.items(), ("custom", _("From … to …"))], widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    since = forms.DateField(label=_("From"), required=False, widget=_date_widget())
    until = forms.DateField(label=_("To"), required=False, widget=_date_widget())

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if cleaned.get("period") == "custom":
            if not since or not until:
                raise forms.ValidationError(_("Choose the first and the last day."))
            if until < since or until - since > MOST:
                raise forms.ValidationError(_("The last day is after the first, and at most three years later."))
        return cleaned

    def chosen(self) -> Period:
        """The days that are looked at; the usual ones where the form is not valid."""
        today = datetime.now(UTC).date()
        if not self.is_bound or not self.is_valid():
            return preset(USUAL, today=today)
        name = self.cleaned_data["period"] or USUAL
        if name == "custom":
            last: date = self.cleaned_data["until"]
            return Period(self.cleaned_data["since"], last + DAY)
        return preset(name, today=today)


class DashboardForm(PeriodForm):
    """Which days, and which money."""

    money = forms.ChoiceField(
        label=_("Money"), required=False, widget=UnfoldAdminSelectWidget,
        choices=[("all", _("All")), ("live", _("Real money")), ("test", _("Test money"))],
    )  # fmt: skip

    def money_chosen(self) -> str:
        """``all``, ``live`` or ``test``."""
        return self.cleaned_data["money"] or "all" if self.is_bound and self.is_valid() else "all"


class ExportForm(PeriodForm):
    """Which days, and whether a file is wanted."""

    file = forms.ChoiceField(
        required=False,
        choices=[("", ""), ("balance", _("Trial balance")), ("csv", "CSV"), ("parquet", "Parquet")],
        widget=forms.HiddenInput,
    )

    def file_chosen(self) -> str:
        """``balance``, ``csv`` or ``parquet``; empty for the page."""
        return str(self.cleaned_data["file"]) if self.is_bound and self.is_valid() else ""
