"""A statement of any days."""

from __future__ import annotations

from datetime import date

from django import forms
from django.utils.translation import gettext_lazy as _

from store.payouts.statements.period import EARLIEST, LATEST, Period


class StatementForm(forms.Form):
    first = forms.DateField(label=_("First day"), widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label=_("Last day"), widget=forms.DateInput(attrs={"type": "date"}))
    extension = forms.ChoiceField(
        label=_("File"),
        choices=[("csv", _("CSV, every run")), ("parquet", _("Parquet, every run")), ("pdf", _("PDF, in sum"))],
    )

    def clean_first(self) -> date:
        return self._sane(self.cleaned_data["first"])

    def clean_last(self) -> date:
        last = self._sane(self.cleaned_data["last"])
        if (first := self.cleaned_data.get("first")) and last < first:
            raise forms.ValidationError(_("The last day is before the first."))
        return last

    def period(self) -> Period:
        return Period(self.cleaned_data["first"], self.cleaned_data["last"])

    @staticmethod
    def _sane(day: date) -> date:
        if not EARLIEST <= day <= LATEST:
            raise forms.ValidationError(_("The days are between 2000 and 2999."))
        return day
