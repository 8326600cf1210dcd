"""The form of a monthly plan."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from store.console.forms.fields import DollarField
from store.errors import StoreError
from store.subscriptions.actions import PlanSpec
from store.subscriptions.actions.plans import MAX_PRICE_NANO, MAX_TOKENS, NANO_PER_CENT


def _tokens(label: Any, help_text: Any = "") -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=0, max_value=MAX_TOKENS, help_text=help_text)


class PlanForm(forms.Form):
    """Shape only: ``offer_plan`` knows the rules."""

    prefix = "plan"

    name = forms.CharField(label=_("Name"), max_length=60)
    price = DollarField(label=_("Price a month"), min_nano=NANO_PER_CENT, max_nano=MAX_PRICE_NANO)
    included_tokens = _tokens(_("Included tokens"), _("Of any class. Or by class, below."))
    included_input = _tokens(_("Included input tokens"))
    included_output = _tokens(_("Included output tokens"))

    def spec(self) -> PlanSpec:
        """What was filled in."""
        said = self.cleaned_data
        return PlanSpec(
            name=said["name"], price_nano=said["price"], included_tokens=said["included_tokens"],
            included_input=said["included_input"], included_output=said["included_output"],
        )  # fmt: skip

    def refuse(self, error: StoreError) -> None:
        """Shows at its field what the verb refused."""
        self.add_error(error.param if error.param in self.fields else None, error.message)
