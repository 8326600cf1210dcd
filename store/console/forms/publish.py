"""Forms of the way into the store: the name, and where the files come from."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from store.catalog.models import Listing, Weights
from store.console.licences import LICENCES
from store.errors import StoreError

PRIVATE, PUBLIC = "private", "public"


LICENCE_INPUT = {"list": "licences", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


class DetailsForm(forms.Form):
    """What a listing says of itself."""

    licences = LICENCES
    slug = forms.CharField(
        label=_("Name"),
        max_length=96,
        help_text=_("Small letters, digits and dashes. It is what callers write, and stays for ever."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    title = forms.CharField(
        label=_("Title"),
        max_length=150,
        required=False,
        help_text=_("Empty: the first heading of the card, or the name."),
    )
    licence = forms.CharField(
        label=_("Licence"),
        max_length=60,
        widget=forms.TextInput(attrs=LICENCE_INPUT),
        help_text=_(
            "An SPDX identifier: choose one, or write another. One of your own is “other”, with its text as a file LICENSE."
        ),
    )
    audience = forms.ChoiceField(
        label=_("Who sees and calls it"),
        choices=[(PUBLIC, _("Public: everybody")), (PRIVATE, _("Private: your organization only"))],
        initial=PUBLIC,
        widget=forms.RadioSelect,
    )
    weights = forms.ChoiceField(
        label=_("Who downloads the files"), choices=Weights, initial=Weights.CLOSED, widget=forms.RadioSelect
    )

    def __init__(self, *args: Any, listing: Listing | None = None, **options: Any) -> None:
        if listing:
            options["initial"] = {
                "slug": listing.slug, "title": listing.title, "licence": listing.licence, "weights": listing.weights,
                "audience": PRIVATE if listing.is_private else PUBLIC,
            }  # fmt: skip
        super().__init__(*args, **options)
        if listing:  # a name stays
            self.fields["slug"].disabled = True
        if listing and listing.published_at is not None:  # what buyers have read changes with a release
            self.fields["licence"].disabled = True
            self.fields["licence"].required = False
            self.fields["licence"].help_text = _("The card says it: change it there.")

    def terms(self) -> dict[str, Any]:
        """What ``change_details`` takes."""
        said = self.cleaned_data
        return {
            "title": said["title"] or said["slug"],
            "licence": said["licence"],
            "is_private": said["audience"] == PRIVATE,
            "weights": Weights(said["weights"]),
        }

    def first_terms(self) -> dict[str, Any]:
        """What ``begin_listing`` takes."""
        return {**self.terms(), "slug": self.cleaned_data["slug"]}

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        field = {"name": "slug", "is_private": "audience", "text": "licence"}.get(error.param or "", error.param)
        self.add_error(field if field in self.fields else None, error.message)


class ConvertForm(forms.Form):
    """What it takes to convert a pickle, beside the file."""

    base = forms.CharField(
        label=_("Base"),
        max_length=200,
        help_text=_("The model of this store that was trained on. Its config says what is in the file."),
        widget=forms.TextInput(attrs={"list": "bases", "placeholder": "org/name", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )  # fmt: skip


class ImportForm(forms.Form):
    """A model of another Hub."""

    repo_id = forms.CharField(
        label=_("Model"),
        max_length=200,
        widget=forms.TextInput(attrs={"placeholder": "org/name", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )  # fmt: skip
    revision = forms.CharField(
        label=_("Revision"), max_length=100, required=False, help_text=_("A branch, tag or commit. Empty: main.")
    )
