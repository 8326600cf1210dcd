"""The form of a key: what it opens, and its limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Self

from django import forms
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.console.forms.fields import DollarField, NetworksField
from store.console.shelf import on_sale
from store.errors import StoreError
from store.keys.actions import MAX_NAME, MAX_RATE, BudgetSpec
from store.keys.budgets import MAX_BUDGET_NANO
from store.keys.models import ApiKey, Period

BUDGETS = {"budget_day": Period.DAY, "budget_month": Period.MONTH, "budget_total": Period.TOTAL}
LIVES_DAYS = ((7, _("In 7 days")), (30, _("In 30 days")), (90, _("In 90 days")), (365, _("In a year")))
KEEP, NEVER = "keep", ""


class ListingChoices(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Listings by their full names."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: Listing) -> str:
        return obj.name


class KeyForm(forms.Form):
    """Made for a new key, or with ``api_key`` for one that exists. ``terms`` is what the verbs of keys take."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME, help_text=_("For you: where this key is used."))
    listings = ListingChoices(
        label=_("Models"), queryset=Listing.objects.none(), help_text=_("The key opens these models only.")
    )
    budget_day = DollarField(label=_("Budget per day"), required=False, max_nano=MAX_BUDGET_NANO)
    budget_month = DollarField(label=_("Budget per month"), required=False, max_nano=MAX_BUDGET_NANO)
    budget_total = DollarField(label=_("Budget in all"), required=False, max_nano=MAX_BUDGET_NANO)
    requests_per_minute = forms.IntegerField(
        label=_("Requests per minute"), required=False, min_value=1, max_value=MAX_RATE
    )
    tokens_per_minute = forms.IntegerField(
        label=_("Tokens per minute"), required=False, min_value=1, max_value=MAX_RATE
    )
    max_parallel = forms.IntegerField(label=_("Calls at once"), required=False, min_value=1, max_value=MAX_RATE)
    allowed_networks = NetworksField(
        label=_("Allowed networks"), required=False, help_text=_("One address or network a line. Empty: from anywhere.")
    )
    expires = forms.ChoiceField(label=_("Expires"), required=False)

    def __init__(
        self, *args: Any, organization: Organization, user: Any, api_key: ApiKey | None = None, **options: Any
    ) -> None:
        self.api_key = api_key
        super().__init__(*args, **options)
        choices: list[tuple[str, str | Promise]] = [
            (NEVER, _("Never")),
            *((str(days), label) for days, label in LIVES_DAYS),
        ]
        if api_key and api_key.expires_at:
            choices.insert(0, (KEEP, _("As it is: %(date)s") % {"date": f"{api_key.expires_at:%Y-%m-%d %H:%M}"}))
        self.fields["expires"].choices = choices  # type: ignore[attr-defined]
        open_now = api_key.listings.all() if api_key else Listing.objects.none()
        ids = {*on_sale(user).values_list("pk", flat=True), *open_now.values_list("pk", flat=True)}
        self.fields["listings"].queryset = (  # type: ignore[attr-defined]
            Listing.objects.filter(pk__in=ids).select_related("organization").order_by("organization__slug", "slug")
        )

    @classmethod
    def of(cls, api_key: ApiKey, *, user: Any) -> Self:
        """The form as the key is now."""
        names = ("name", "requests_per_minute", "tokens_per_minute", "max_parallel", "allowed_networks")
        initial: dict[str, Any] = {name: getattr(api_key, name) for name in names}
        initial["listings"] = list(api_key.listings.all())
        initial["expires"] = KEEP if api_key.expires_at else NEVER
        limits = {budget.period: budget.limit_nano for budget in api_key.budgets.filter(listing=None)}
        initial |= {field: limits.get(period) for field, period in BUDGETS.items()}
        return cls(initial=initial, organization=api_key.organization, user=user, api_key=api_key)

    def terms(self) -> dict[str, Any]:
        """Keyword arguments of ``issue_key`` and ``update_key``. Budgets on single models, made by the API, stay as they are."""
        said = {name: value for name, value in self.cleaned_data.items() if name not in BUDGETS and name != "expires"}
        said["listings"] = list(said["listings"])
        return {**said, "expires_at": self._expires_at(), "budgets": self._budgets(said["listings"])}

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        self.add_error(error.param if error.param in self.fields else None, error.message)

    def _expires_at(self) -> datetime | None:
        chosen = self.cleaned_data["expires"]
        if chosen == KEEP and self.api_key:
            return self.api_key.expires_at
        return timezone.now() + timedelta(days=int(chosen)) if chosen else None

    def _budgets(self, listings: list[Listing]) -> list[BudgetSpec]:
        whole: list[BudgetSpec] = [
            (None, period, self.cleaned_data[field])
            for field, period in BUDGETS.items()
            if self.cleaned_data[field] is not None
        ]
        single = self.api_key.budgets.filter(listing__in=listings).select_related("listing") if self.api_key else ()
        return [*whole, *((budget.listing, Period(budget.period), budget.limit_nano) for budget in single)]


class RotateForm(forms.Form):
    """How long the old secret lives on."""

    grace_s = forms.TypedChoiceField(
        label=_("The old secret works"),
        coerce=int,
        choices=[(0, _("no longer")), (3600, _("for one more hour")), (86400, _("for one more day"))],
    )
