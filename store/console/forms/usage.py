"""The filters of usage: which figures, and which runs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing
from store.console.spans import UsageSpan
from store.keys.models import ApiKey
from store.reputation.periods import DAY, midnight
from store.runs.models import Endpoint, RunStatus
from store.usage.models import Dimension, Grain, Kind, UsageSlice

EVERY = ("", _("All"))
WRITTEN = "%Y-%m-%dT%H:%M"


class NamedChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Choices by a name of ours."""

    def label_from_instance(self, obj: Any) -> str:
        match obj:
            case ApiKey():
                return f"{obj.name} ({obj.prefix}…)"
            case User():
                return obj.email
        return str(obj.name)


class MomentInput(forms.DateTimeInput):
    """A day and an hour, whatever was written of them."""

    input_type = "datetime-local"

    def format_value(self, value: Any) -> str | None:
        return value.strftime(WRITTEN) if isinstance(value, datetime) else value


class MomentField(forms.Field):
    """``2026-11-29`` or ``2026-11-29T13:00``, UTC; cleaned to a datetime. A day as an end is included."""

    widget = MomentInput

    def __init__(self, *, is_end: bool = False, **options: Any) -> None:
        self.is_end = is_end
        super().__init__(**options)

    def to_python(self, value: Any) -> datetime | None:
        if not value:
            return None
        try:
            if len(value) == len("2026-11-29"):
                return midnight(date.fromisoformat(value)) + (DAY if self.is_end else 0 * DAY)
            moment = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            raise ValidationError(_("Write a day, or a day and a time.")) from None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


class OfUsage(forms.Form):
    """What figures and runs are filtered by. Another organization's key is as one that does not exist."""

    model = NamedChoice(label=_("Model"), required=False, queryset=Listing.objects.none(), empty_label=_("All"))
    key = NamedChoice(label=_("Key"), required=False, queryset=ApiKey.objects.none(), empty_label=_("All"))
    member = NamedChoice(label=_("Member"), required=False, queryset=User.objects.none(), empty_label=_("All"))

    def __init__(self, *args: Any, organization: Organization, **options: Any) -> None:
        super().__init__(*args, **options)
        days = UsageSlice.objects.filter(organization=organization, dimension=Dimension.LISTING, grain=Grain.DAY)
        opened = Listing.objects.filter(api_keys__organization=organization)
        ids = {*days.values_list("listing", flat=True).distinct(), *opened.values_list("pk", flat=True)}
        listings = Listing.objects.filter(pk__in=ids - {None}).select_related("organization")
        self.fields["model"].queryset = listings.order_by("organization__slug", "slug")  # type: ignore[attr-defined]
        self.fields["key"].queryset = organization.api_keys.order_by("name", "pk")  # type: ignore[attr-defined]
        people = User.objects.filter(memberships__organization=organization) | User.objects.filter(
            pk__in=organization.api_keys.values("created_by")
        )
        self.fields["member"].queryset = people.distinct().order_by("email")  # type: ignore[attr-defined]

    def chosen(self) -> dict[str, Any]:
        """The fields that make sense; what does not is left out."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class RunFilter(OfUsage):
    """Which runs."""

    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[EVERY, *Endpoint.choices])
    status = forms.ChoiceField(label=_("Status"), required=False, choices=[EVERY, *RunStatus.choices])
    since = MomentField(label=_("From (UTC)"), required=False)
    until = MomentField(label=_("Until (UTC)"), required=False, is_end=True)


class UsageFilter(OfUsage):
    """Which figures, by what. Since and until count where the span is of one's own choice."""

    span = forms.ChoiceField(label=_("Period"), required=False, choices=UsageSpan.choices)
    since = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label=_("Until, included"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    by = forms.ChoiceField(
        label=_("By"), required=False, choices=[("", _("day or hour")), ("day", _("day")), ("hour", _("hour"))]
    )
    group = forms.ChoiceField(
        label=_("Grouped by"),
        required=False,
        choices=[
            ("listing", _("model")),
            ("key", _("key")),
            ("member", _("member")),
            ("kind", _("kind")),
            ("class", _("class of tokens")),
        ],
    )
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[EVERY, *Kind.choices])
    field_order = ("span", "since", "until", "by", "group", "model", "key", "member", "kind")

    def __init__(self, data: Any = None, **options: Any) -> None:
        """Where no period is said, the one that is shown stands in its field, and is sent with what is changed next."""
        usual = UsageSpan.CUSTOM if data and data.get("since") else UsageSpan.MONTH
        super().__init__(
            {**data.dict(), "span": data.get("span") or usual} if isinstance(data, QueryDict) else data, **options
        )
        self.initial.setdefault("span", usual)

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        since, until = said.get("since"), said.get("until")
        if since and until and until < since:
            self.add_error("until", _("The period must end after it begins."))
        return said
