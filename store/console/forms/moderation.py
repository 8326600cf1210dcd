"""Forms of reports, appeals and what moderators decide about them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from store.errors import StoreError
from store.moderation.models import ReportReason

MAX_TEXT = 4000
MAX_CHOSEN = 200


class ReportForm(forms.Form):
    reason = forms.ChoiceField(label=_("What is it about"), choices=ReportReason, widget=forms.RadioSelect)
    text = forms.CharField(
        label=_("What is wrong"),
        max_length=MAX_TEXT,
        help_text=_("What a moderator has to know to see it, too."),
        widget=forms.Textarea(attrs={"rows": 6}),
    )

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        self.add_error(error.param if error.param in self.fields else None, error.message)


class AppealForm(forms.Form):
    text = forms.CharField(
        label=_("Why it should be looked at again"), max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 8})
    )


class ChosenForm(forms.Form):
    """Rows that were ticked, what to do with them, and why."""

    chosen = forms.TypedMultipleChoiceField(coerce=int, required=False)
    verb = forms.ChoiceField()
    reason = forms.CharField(required=False, max_length=2000)

    def __init__(self, data: Any, *, verbs: list[str]) -> None:
        super().__init__(data)
        ids = [each for each in data.getlist("chosen") if each.isdecimal() and len(each) < 19][:MAX_CHOSEN]
        self.fields["chosen"].choices = [(each, each) for each in ids]  # type: ignore[attr-defined]
        self.fields["verb"].choices = [(verb, verb) for verb in verbs]  # type: ignore[attr-defined]
