"""Forms of people and organizations."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from store.accounts.models import ProviderProfile


class ProfileForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=150, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    """Shape only: ``accounts.actions.become_provider`` writes."""

    website = forms.URLField(label=_("Website"), required=False, assume_scheme="https")

    class Meta:
        model = ProviderProfile
        fields = ("about", "website")
        help_texts = {"about": _("Who you are, and what your models are good for. Shown beside them.")}
        widgets = {"about": forms.Textarea(attrs={"rows": 4})}
