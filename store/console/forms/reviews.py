"""Forms of reviews. The verbs of ``store.reputation`` check the rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from store.errors import StoreError
from store.reputation.actions import REASON_CHARS, REPORT_CHARS, TEXT_CHARS

STAR = ngettext_lazy("%d star", "%d stars")


class ReviewForm(forms.Form):
    """Stars, and words if one has any."""

    stars = forms.TypedChoiceField(
        label=_("How good is it?"),
        coerce=int,
        choices=[(str(n), STAR % n) for n in range(5, 0, -1)],
        widget=forms.RadioSelect,
    )
    text = forms.CharField(
        label=_("What is it good for, and what is it not?"),
        max_length=TEXT_CHARS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
    )

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        self.add_error(error.param if error.param in self.fields else None, error.message)


class ReplyForm(forms.Form):
    text = forms.CharField(max_length=TEXT_CHARS)


class ReportReviewForm(forms.Form):
    text = forms.CharField(max_length=REPORT_CHARS)


class HideForm(forms.Form):
    reason = forms.CharField(max_length=REASON_CHARS)
