"""Invoices: which are listed, and who they are for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from store.billing.countries import COUNTRIES
from store.billing.details import FIELDS
from store.billing.models import BillingDetails, PaperKind
from store.console.forms.usage import EVERY

LEAST_YEAR, MOST_YEAR = 2000, 9999


class PaperFilter(forms.Form):
    """Which papers. What makes no sense is left out."""

    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[EVERY, *PaperKind.choices])
    year = forms.IntegerField(label=_("Year"), required=False, min_value=LEAST_YEAR, max_value=MOST_YEAR)

    def chosen(self) -> dict[str, Any]:
        """The fields that make sense."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class BillingDetailsForm(forms.ModelForm):  # type: ignore[type-arg]
    """The rules are those of the verb."""

    country = forms.ChoiceField(
        label=_("Country"), required=False, choices=[("", _("Not chosen")), *sorted(COUNTRIES.items(), key=lambda pair: pair[1])]
    )  # fmt: skip

    class Meta:
        model = BillingDetails
        fields = FIELDS
        help_texts = {
            "tax_id": _("Of a business: a VAT number, GSTIN, EIN and the like."),
            "email": _("Invoices are announced here; without it, to everybody who may buy."),
        }
