"""Buying credit."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from store.billing.actions import MAX_TOPUP_NANO
from store.console.forms.fields import DollarField
from store.ledger.dollars import NANO_PER_DOLLAR


class TopUpForm(forms.Form):
    amount = DollarField(label=_("Amount"), min_nano=NANO_PER_DOLLAR, max_nano=MAX_TOPUP_NANO, initial="10.00")
