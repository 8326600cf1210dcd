"""The forms of a budget: whose it is, and how much."""

from __future__ import annotations

from typing import Any, Self

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.console.forms.fields import DollarField
from store.console.forms.usage import NamedChoice
from store.errors import StoreError
from store.keys.budgets import MAX_BUDGET_NANO, MAX_PERCENT, MAX_PERCENTS
from store.keys.models import Budget, Period, default_alert_percents

WHOLE, MEMBER, KEY = "organization", "member", "key"
HARD, SOFT = "hard", "soft"
PARAMS = {"listing": "listing", "limit_nano": "limit", "alert_percents": "alerts", "period": "period"}


class PercentsField(forms.CharField):
    """Shares of the limit, as ``50, 80, 100``; cleaned to a list of whole numbers."""

    def clean(self, value: Any) -> Any:
        words = super().clean(value).replace("%", " ").replace(",", " ").split()
        if len(words) > MAX_PERCENTS or not all(word.isascii() and word.isdigit() and len(word) < 6 for word in words):
            raise ValidationError(_("Write up to ten whole numbers, such as 50, 80, 100."))
        if not all(0 < int(word) <= MAX_PERCENT for word in words):
            raise ValidationError(_("Each is from 1 to 1000 %."))
        return sorted({int(word) for word in words})

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value


class BudgetTerms(forms.Form):
    """How much, how strictly, and when it tells. ``terms`` is what ``update_budget`` takes."""

    limit = DollarField(label=_("Amount"), max_nano=MAX_BUDGET_NANO)
    kind = forms.ChoiceField(
        label=_("When it is used up"),
        choices=[
            (HARD, _("Refuse calls and trainings that it does not cover")),
            (SOFT, _("Only tell, refuse nothing")),
        ],
        widget=forms.RadioSelect,
        initial=HARD,
    )
    alerts = PercentsField(
        label=_("Tell at"),
        required=False,
        max_length=80,
        initial=default_alert_percents,
        help_text=_(
            "Percent of the amount that were spent: 50, 80, 100. Each is told once in a period, by mail to owners and billing, and to webhooks."
        ),
    )

    @classmethod
    def of(cls, budget: Budget) -> Self:
        """As the budget is now."""
        kind = HARD if budget.is_hard else SOFT
        return cls(initial={"limit": budget.limit_nano, "kind": kind, "alerts": budget.alert_percents})

    def terms(self) -> dict[str, Any]:
        said = self.cleaned_data
        return {"limit_nano": said["limit"], "is_hard": said["kind"] == HARD, "alert_percents": said["alerts"]}

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        field = PARAMS.get(error.param or "", "spender")
        self.add_error(field if field in self.fields else None, error.message)


class BudgetForm(BudgetTerms):
    """A new one. ``terms`` is what ``create_budget`` takes."""

    spender = forms.ChoiceField(label=_("Whose spending"), choices=())
    listing = NamedChoice(
        label=_("On"), required=False, queryset=Listing.objects.none(), empty_label=_("All models"),
        help_text=_("All models together, or one that a key of the organization opens."),
    )  # fmt: skip
    period = forms.ChoiceField(label=_("Period"), choices=Period.choices, initial=Period.MONTH,
                               help_text=_("Days and months are UTC."))  # fmt: skip
    field_order = ("spender", "listing", "period", "limit", "kind", "alerts")

    def __init__(self, *args: Any, organization: Organization, **options: Any) -> None:
        super().__init__(*args, **options)
        members = organization.memberships.select_related("user").order_by("user__email")
        keys = organization.api_keys.live().order_by("name", "pk")
        self.members = {f"{MEMBER}:{each.user_id}": each.user for each in members}
        self.keys = {f"{KEY}:{each.pk}": each for each in keys}
        self.fields["spender"].choices = [  # type: ignore[attr-defined]
            (WHOLE, _("The whole organization")),
            (_("One member: by their keys, in the playground, by trainings"), [(value, user.email) for value, user in self.members.items()]),
            (_("One key"), [(value, f"{key.name} ({key.prefix}…)") for value, key in self.keys.items()]),
        ]  # fmt: skip
        opened = Listing.objects.filter(api_keys__organization=organization)
        self.fields["listing"].queryset = (  # type: ignore[attr-defined]
            opened.distinct().select_related("organization").order_by("organization__slug", "slug")
        )

    def terms(self) -> dict[str, Any]:
        said = self.cleaned_data
        spender = {"member": self.members.get(said["spender"]), "api_key": self.keys.get(said["spender"])}
        return {**super().terms(), **spender, "listing": said["listing"], "period": said["period"]}
