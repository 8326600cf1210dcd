"""The form of an access token."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from store.accounts.models import TokenScope
from store.accounts.tokens import MAX_NAME
from store.errors import StoreError

LIVES_DAYS = ((7, _("In 7 days")), (30, _("In 30 days")), (90, _("In 90 days")), (365, _("In a year")))
NEVER = ""


class TokenForm(forms.Form):
    """``terms`` is what ``issue_token`` takes."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME, help_text=_("For you: where this token is used."))
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), choices=TokenScope, widget=forms.CheckboxSelectMultiple, initial=[TokenScope.READ]
    )
    expires = forms.ChoiceField(
        label=_("Expires"),
        required=False,
        initial="90",
        choices=[*((str(days), label) for days, label in LIVES_DAYS), (NEVER, _("Never"))],
    )

    def terms(self) -> dict[str, Any]:
        said = self.cleaned_data
        return {"name": said["name"], "scopes": said["scopes"], "expires_at": self._expires_at()}

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        self.add_error(error.param if error.param in self.fields else None, error.message)

    def _expires_at(self) -> datetime | None:
        chosen = self.cleaned_data["expires"]
        return timezone.now() + timedelta(days=int(chosen)) if chosen else None
