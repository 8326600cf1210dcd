"""The form of a webhook: where it goes, and what it is told."""

from __future__ import annotations

from typing import Any, Self

from django import forms
from django.utils.translation import gettext_lazy as _

from store.errors import StoreError
from store.webhooks import event_types
from store.webhooks.models import MAX_DESCRIPTION, MAX_URL, WebhookEndpoint

ALL, CHOSEN = "all", "chosen"


class WebhookForm(forms.Form):
    """``terms`` is what the verbs of webhooks take."""

    url = forms.CharField(
        label=_("Address"),
        max_length=MAX_URL,
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/hooks", "autocomplete": "off"}),
        help_text=_("Events are posted there as JSON. It answers with a status from 200 to 299 within ten seconds."),
    )
    description = forms.CharField(
        label=_("Description"), max_length=MAX_DESCRIPTION, required=False, help_text=_("For you: what listens there.")
    )
    scope = forms.ChoiceField(
        label=_("Tell it of"),
        choices=[(ALL, _("Everything, also of kinds that are added later")), (CHOSEN, _("What is chosen here"))],
        widget=forms.RadioSelect,
        initial=ALL,
    )
    event_types = forms.MultipleChoiceField(
        label=_("Events"), required=False, choices=(), widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["event_types"].choices = [  # type: ignore[attr-defined]
            (each.name, each.description) for each in event_types.choosable()
        ]

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> Self:
        """The form as the endpoint is now."""
        initial = {name: getattr(endpoint, name) for name in ("url", "description", "event_types")}
        return cls(initial={**initial, "scope": CHOSEN if endpoint.event_types else ALL})

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if said.get("scope") == CHOSEN and not said.get("event_types") and "event_types" not in self.errors:
            self.add_error("event_types", _("Choose at least one, or everything."))
        return said

    def terms(self) -> dict[str, Any]:
        said = self.cleaned_data
        chosen = said["event_types"] if said["scope"] == CHOSEN else []
        return {"url": said["url"], "description": said["description"], "event_types": chosen}

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        self.add_error(error.param if error.param in self.fields else None, error.message)
