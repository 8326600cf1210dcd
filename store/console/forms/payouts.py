"""Paying out: how much now, and when by itself."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from store.console.forms.fields import DollarField
from store.errors import StoreError
from store.payouts.models import Interval, PayoutSchedule


class _Refusable(forms.Form):
    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        name = {"amount_nano": "amount", "minimum_nano": "minimum"}.get(error.param or "", error.param)
        self.add_error(name if name in self.fields else None, error.message)


class PayOutForm(_Refusable):
    amount = DollarField(
        label=_("Amount"), required=False, help_text=_("Everything that is available, where you leave it empty.")
    )


class ScheduleForm(_Refusable):
    interval = forms.ChoiceField(label=_("Pay out"), choices=Interval.choices)
    minimum = DollarField(label=_("But not less than"), required=False)

    def __init__(self, *args: Any, schedule: PayoutSchedule, **options: Any) -> None:
        least = max(schedule.minimum_nano, settings.PAYOUT_MINIMUM_NANO)
        super().__init__(*args, **{"initial": {"interval": schedule.interval, "minimum": least}, **options})
