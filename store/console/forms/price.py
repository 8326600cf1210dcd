"""The form of a price: dollars for a million tokens of each class, and the terms that go with it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Self

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from store.catalog.actions import PriceSpec
from store.catalog.actions.prices import MAX_PRICE_NANO
from store.catalog.models import Price
from store.console.forms.fields import DollarField
from store.errors import StoreError

PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,4}))?\s*%?", re.ASCII)
PPM_PER_PERCENT = 10_000
NOW = "now"


class PercentField(forms.CharField):
    """A share as a person writes it, ``2.5``; cleaned to parts per million, 0 where it is empty."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(**{"widget": widget, "max_length": 10, **options})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return 0
        found = PERCENT.fullmatch(text.strip())
        ppm = int(found[1]) * PPM_PER_PERCENT + int((found[2] or "").ljust(4, "0")) if found else -1
        if not 0 <= ppm <= 100 * PPM_PER_PERCENT:
            raise ValidationError(_("Write a share of 0 to 100 percent, such as 2.5."))
        return ppm

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, int):
            return value
        whole, rest = divmod(value, PPM_PER_PERCENT)
        return f"{whole}.{rest:04d}".rstrip("0").rstrip(".")


class PriceForm(forms.Form):
    """Shape only: ``set_price`` knows the rules."""

    input = DollarField(label=_("Input"), max_nano=MAX_PRICE_NANO)
    output = DollarField(label=_("Output"), max_nano=MAX_PRICE_NANO)
    cached_input = DollarField(
        label=_("Cached input"), required=False, max_nano=MAX_PRICE_NANO, help_text=_("Empty: as input.")
    )
    training = DollarField(
        label=_("Training"), required=False, max_nano=MAX_PRICE_NANO, help_text=_("For fine-tunes of this model.")
    )
    request = DollarField(
        label=_("Each request"), required=False, max_nano=MAX_PRICE_NANO, help_text=_("On top of the tokens.")
    )
    free = DollarField(
        label=_("Free each month"),
        required=False,
        max_nano=MAX_PRICE_NANO,
        help_text=_("Worth of calls that you give each customer, each calendar month (UTC)."),
    )
    derivatives_allowed = forms.BooleanField(
        label=_("Fine-tunes of this model may be sold"),
        required=False,
        help_text=_("By those whom the licence lets make them."),
    )
    royalty = PercentField(
        label=_("Your royalty"),
        required=False,
        help_text=_("Percent of what calls of such a fine-tune cost."),
    )

    @classmethod
    def of(cls, price: Price | None, **options: Any) -> Self:
        """The form as the price is now."""
        if price is None:
            return cls(**options)
        names = ("input", "output", "training", "request", "free")
        initial: dict[str, Any] = {name: getattr(price, f"{name}_nano") for name in names}
        cached = price.cached_input_nano
        initial["cached_input"] = None if cached == price.input_nano else cached
        for name in ("training", "request", "free"):
            initial[name] = initial[name] or None
        return cls(
            initial={**initial, "derivatives_allowed": price.derivatives_allowed, "royalty": price.royalty_ppm or None},
            **options,
        )

    def spec(self) -> PriceSpec:
        """What ``set_price`` takes."""
        said = self.cleaned_data
        return PriceSpec(
            input_nano=said["input"],
            output_nano=said["output"],
            cached_input_nano=said["cached_input"],
            request_nano=said["request"] or 0,
            training_nano=said["training"] or 0,
            free_nano=said["free"] or 0,
            derivatives_allowed=said["derivatives_allowed"],
            royalty_ppm=said["royalty"],
        )

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        self.add_error(error.param if error.param in self.fields else None, error.message)


class PriceChangeForm(PriceForm):
    """A price of a model that people call: it may begin at once where it is lower, else after the notice."""

    starts = forms.ChoiceField(label=_("Takes effect"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        notice = settings.PRICE_NOTICE_DAYS
        later = [(str(days), _("In %(days)d days") % {"days": days}) for days in (notice, 2 * notice, 4 * notice)]
        self.fields["starts"].choices = [(NOW, _("Now")), *later]  # type: ignore[attr-defined]
        self.fields["starts"].initial = str(notice)

    def starts_at(self) -> datetime | None:
        """None is now. A minute is added, so that the notice is whole when the verb looks."""
        chosen = self.cleaned_data["starts"]
        return None if chosen == NOW else timezone.now() + timedelta(days=int(chosen), minutes=1)
