"""Forms of a model's management pages."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from store.catalog.categories import CATEGORIES
from store.catalog.models import BaseRelation, Listing, Weights
from store.console.forms.publish import LICENCE_INPUT, PRIVATE, PUBLIC
from store.console.front_matter import CardParts
from store.console.licences import LICENCES
from store.errors import StoreError

MAX_CARD_CHARS = 400_000
REASON = {"rows": 3, "maxlength": 2000}


class WordsField(forms.CharField):
    """Words between commas; cleaned to a list without doubles."""

    def clean(self, value: Any) -> Any:
        words = (word.strip() for word in super().clean(value).replace("\n", ",").split(","))
        return list(dict.fromkeys(filter(None, words)))

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value


class TagForm(forms.Form):
    name = forms.CharField(
        label=_("Tag"), max_length=100, widget=forms.TextInput(attrs={"placeholder": "v1.0", "autocomplete": "off"})
    )
    message = forms.CharField(label=_("Message"), max_length=500, required=False)


class CardForm(forms.Form):
    """README.md: fields for what is most asked of its front matter, and the Markdown. ``base_sha256`` is the card that was opened."""

    licences = LICENCES
    licence = forms.CharField(
        label=_("Licence"), max_length=60, required=False, widget=forms.TextInput(attrs=LICENCE_INPUT)
    )
    task = forms.CharField(
        label=_("Task"), max_length=40, required=False, widget=forms.TextInput(attrs={"placeholder": "text-generation"})
    )
    languages = WordsField(
        label=_("Languages"), required=False, max_length=400, help_text=_("Codes with commas between: en, de, zh.")
    )
    tags = WordsField(label=_("Tags"), required=False, max_length=1000, help_text=_("With commas between."))
    base = forms.CharField(
        label=_("Base model"), max_length=400, required=False, help_text=_("organization/name, here or on another Hub.")
    )
    relation = forms.ChoiceField(
        label=_("Made from it by"), required=False, choices=[("", _("not said")), *BaseRelation.choices]
    )
    rest = forms.CharField(
        label=_("Other front matter"),
        required=False,
        max_length=30_000,
        strip=False,
        help_text=_("YAML, kept as it is written here."),
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    body = forms.CharField(
        label=_("Card"),
        required=False,
        max_length=MAX_CARD_CHARS,
        strip=False,
        help_text=_("Markdown. Images that lie among the files are shown: ![A plot](assets/plot.png)"),
        widget=forms.Textarea(attrs={"rows": 24}),
    )
    base_sha256 = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    @classmethod
    def of(cls, text: str, sha256: str) -> CardForm:
        parts = CardParts.of(text)
        names = ("licence", "task", "languages", "tags", "base", "relation", "rest", "body")
        return cls(initial={**{name: getattr(parts, name) for name in names}, "base_sha256": sha256})

    def on_top_of(self, sha256: str, message: str) -> CardForm:
        """The same words, to be saved over the card of this digest; says why."""
        again = CardForm({**{name: self.data.get(name, "") for name in self.fields}, "base_sha256": sha256})
        again.is_valid()
        again.add_error(None, message)
        return again

    def text(self) -> str:
        """The whole file."""
        said = {name: value for name, value in self.cleaned_data.items() if name != "base_sha256"}
        return CardParts(**said).text()


class SettingsForm(forms.Form):
    """What a listing says of itself besides its card, and who may see, call and download it."""

    title = forms.CharField(label=_("Title"), max_length=150)
    summary = forms.CharField(
        label=_("Summary"), max_length=300, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    category = forms.ChoiceField(label=_("Category"), required=False)
    audience = forms.ChoiceField(
        label=_("Who sees and calls it"),
        choices=[(PUBLIC, _("Public: everybody")), (PRIVATE, _("Private: your organization only"))],
        widget=forms.RadioSelect,
    )
    weights = forms.ChoiceField(label=_("Who downloads the files"), choices=Weights, widget=forms.RadioSelect)
    gate_questions = forms.CharField(
        label=_("Questions to those who ask for the files"),
        required=False,
        max_length=4000,
        help_text=_("One a line, ten at most. For gated files."),
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    gate_is_automatic = forms.BooleanField(label=_("Who answers is let in at once"), required=False)
    gate_days = forms.IntegerField(
        label=_("Days that access lasts"), required=False, min_value=1, max_value=3650, help_text=_("Empty: for ever.")
    )

    def __init__(self, *args: Any, listing: Listing, **options: Any) -> None:
        names = ("title", "summary", "category", "weights", "gate_is_automatic", "gate_days")
        options["initial"] = {name: getattr(listing, name) for name in names} | {
            "audience": PRIVATE if listing.is_private else PUBLIC,
            "gate_questions": "\n".join(listing.gate_questions),
        }
        super().__init__(*args, **options)
        choices = [("", _("None")), *((category.slug, category.label) for category in CATEGORIES.values())]
        self.fields["category"].choices = choices  # type: ignore[attr-defined]

    def changes(self) -> dict[str, Any]:
        """What ``edit_listing`` takes."""
        said = dict(self.cleaned_data)
        said["is_private"] = said.pop("audience") == PRIVATE
        said["gate_questions"] = said["gate_questions"].splitlines()
        return said

    def refuse(self, error: StoreError) -> None:
        """Shows what the verb refused, at the field if it names one."""
        field = "audience" if error.param == "is_private" else error.param
        self.add_error(field if field in self.fields else None, error.message)


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), required=False, max_length=2000, widget=forms.Textarea(attrs=REASON))


class DeprecateForm(ReasonForm):
    """The last day, which counts in UTC and is in it."""

    shutdown_at = forms.DateTimeField(
        label=_("Last day (UTC)"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
    )

    def clean_shutdown_at(self) -> Any:
        day = self.cleaned_data["shutdown_at"]
        return day.replace(hour=23, minute=59, tzinfo=UTC)


class DeleteForm(forms.Form):
    """Asks for the name, so that no slip of the hand deletes a model."""

    name = forms.CharField(label=_("Its full name"), widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, listing: Listing, **options: Any) -> None:
        self.listing = listing
        super().__init__(*args, **options)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if name != self.listing.name:
            raise ValidationError(_("That is not the name of this model."))
        return name
