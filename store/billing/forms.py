"""What the people who run the store fill in: amounts are dollars here, and rules are those of the verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from store.accounts.models import User
from store.billing.grants import MAX_GRANT_NANO
from store.billing.models import PromoCode
from store.billing.promo import CodeTerms, make_code
from store.errors import StoreError
from store.ledger.dollars import parse_dollars


class Dollars(forms.CharField):
    """Cleaned to nano-dollars; None where it is empty."""

    widget = UnfoldAdminTextInputWidget

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            nano = parse_dollars(text)
        except ValueError:
            raise ValidationError(_("Write an amount of dollars, such as 12.50.")) from None
        if not 0 < nano <= MAX_GRANT_NANO:
            raise ValidationError(_("The amount must be above 0 and at most $10,000."))
        return nano


class GivenForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose row is made by a verb when it is checked: what the verb refuses is shown at its field. ``user`` fills it in."""

    user: User
    shown_as: dict[str, str] = {}  # fields of the verb that have other names here

    def make_by(self, verb: Callable[[], Any]) -> None:
        """Calls the verb, unless something is wrong already."""
        if self.errors:
            return
        try:
            self.instance = verb()
        except StoreError as error:
            name = self.shown_as.get(error.param or "", error.param)
            self.add_error(name if name in self.fields else None, error.message)


class PromoCodeForm(GivenForm):
    amount = Dollars(
        label=_("Amount"), required=False, help_text=_("Dollars; or leave it empty and give a percentage.")
    )
    most = Dollars(label=_("At most"), required=False, help_text=_("Of a percentage, in dollars."))
    shown_as = {"amount_nano": "amount", "most_nano": "most"}
    named = {shown: name for name, shown in shown_as.items()}

    class Meta:
        model = PromoCode
        fields = ("code", "percent", "lives_days", "total_limit", "organization_limit", "first_topup_only", "ends_at")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in {"percent", "total_limit", "ends_at"} & set(self.fields):
            self.fields[name].required = False

    def clean(self) -> None:
        given = {self.named.get(name, name): value for name, value in self.cleaned_data.items()}
        given["code"] = str(given.get("code", "")).strip().upper()
        self.make_by(lambda: make_code(user=self.user, terms=CodeTerms(**given)))
