"""The filter of the catalog."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from store.console.shelf import Sort


class CatalogFilter(forms.Form):
    """What to look for. Every field may be missing or wrong: a filter that makes no sense is left out, never an error."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    licence = forms.CharField(label=_("Licence"), required=False, max_length=60)
    tag = forms.CharField(label=_("Tag"), required=False, max_length=40)
    sort = forms.ChoiceField(label=_("Sort by"), required=False, choices=Sort)

    def chosen(self) -> dict[str, str]:
        """The fields that make sense."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
