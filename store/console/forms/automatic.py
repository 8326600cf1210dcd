"""Automatic top-ups."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from store.billing.actions import MAX_TOPUP_NANO
from store.billing.automatic import MAX_MONTH_NANO
from store.billing.checkout import MIN_TOPUP_NANO
from store.billing.models import AutoTopup
from store.console.forms.fields import DollarField

INITIAL_NANO = 10 * 10**9


class AutoTopupForm(forms.Form):
    """Cleaned to nano-dollars; the rules are those of the verb."""

    threshold = DollarField(label=_("Below a balance of"), max_nano=MAX_TOPUP_NANO, initial="5.00")
    amount = DollarField(label=_("Add"), min_nano=MIN_TOPUP_NANO, max_nano=MAX_TOPUP_NANO, initial="25.00")
    month = DollarField(
        label=_("At most in a month"), min_nano=MIN_TOPUP_NANO, max_nano=MAX_MONTH_NANO, initial="100.00",
        help_text=_("Of credit, by itself: what you buy by hand is not counted."),
    )  # fmt: skip

    def terms(self) -> dict[str, int]:
        """By the names of the verb."""
        return {f"{name}_nano": value for name, value in self.cleaned_data.items()}

    @staticmethod
    def now(auto: AutoTopup | None) -> dict[str, int]:
        """What stands in the fields at first."""
        if auto is None:
            return {}
        return {"threshold": auto.threshold_nano, "amount": auto.amount_nano, "month": auto.month_nano}
