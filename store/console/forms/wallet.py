"""Buying credit."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from store.billing.actions import MAX_TOPUP_NANO
from store.billing.checkout import MIN_TOPUP_NANO, NANO_PER_CENT
from store.billing.models import TopupStatus
from store.console.forms.fields import DollarField
from store.console.forms.usage import EVERY
from store.console.topups import BY_ITSELF


class TopUpForm(forms.Form):
    amount = DollarField(label=_("Amount"), min_nano=MIN_TOPUP_NANO, max_nano=MAX_TOPUP_NANO, initial="10.00")

    def clean_amount(self) -> int:
        amount_nano: int = self.cleaned_data["amount"]
        if amount_nano % NANO_PER_CENT:
            raise forms.ValidationError(_("A payment is in whole cents."))
        return amount_nano


class PromoForm(forms.Form):
    """A promo code, however it is written."""

    code = forms.CharField(
        label=_("Promo code"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class TopUpFilter(forms.Form):
    """Which top-ups. What makes no sense is left out."""

    status = forms.ChoiceField(label=_("State"), required=False, choices=[EVERY, *TopupStatus.choices])
    how = forms.ChoiceField(
        label=_("How"), required=False, choices=[EVERY, ("hand", _("By hand")), (BY_ITSELF, _("Automatic"))]
    )

    def chosen(self) -> dict[str, Any]:
        """The fields that make sense."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
