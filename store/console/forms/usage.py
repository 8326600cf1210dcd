"""The filter of the list of runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.keys.models import ApiKey
from store.runs.models import RunStatus

EVERY = ("", _("All"))


class NamedChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Choices by a name of ours."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.prefix})" if isinstance(obj, ApiKey) else str(obj.name)


class UsageFilter(forms.Form):
    """Which runs. What makes no sense is left out; another organization's key is as one that does not exist."""

    model = NamedChoice(label=_("Model"), required=False, queryset=Listing.objects.none(), empty_label=_("All"))
    key = NamedChoice(label=_("Key"), required=False, queryset=ApiKey.objects.none(), empty_label=_("All"))
    status = forms.ChoiceField(label=_("Status"), required=False, choices=[EVERY, *RunStatus.choices])
    since = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label=_("Until"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, organization: Organization, **options: Any) -> None:
        super().__init__(*args, **options)
        called = Listing.objects.filter(runs__organization=organization).distinct().select_related("organization")
        self.fields["model"].queryset = called.order_by("organization__slug", "slug")  # type: ignore[attr-defined]
        self.fields["key"].queryset = organization.api_keys.order_by("name", "pk")  # type: ignore[attr-defined]

    def chosen(self) -> dict[str, Any]:
        """The fields that make sense."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
