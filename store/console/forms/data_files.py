"""Forms of training data: which column holds what, and for which model tokens are counted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from store.errors import StoreError
from store.tuning.actions.tallies import MAX_LENGTH, MIN_LENGTH
from store.tuning.models import DataFile, DataFormat

FIELDS = ("messages", "prompt", "completion", "text", "chosen", "rejected", "tools")


class DescriptionForm(forms.Form):
    """``terms`` is what ``describe_file`` takes. A field for each field of a record, whose choices are the file's columns."""

    format = forms.ChoiceField(label=_("The records are"), required=False)

    def __init__(self, data: Any = None, *, file: DataFile) -> None:
        initial = {"format": file.format, **{f"of_{field}": column for field, column in file.mapping.items()}}
        super().__init__(data, initial=initial)
        self.fields["format"].choices = [("", _("Find out")), *DataFormat.choices]  # type: ignore[attr-defined]
        columns = [(name, name) for name in file.report.get("columns", [])]
        for field in FIELDS:
            self.fields[f"of_{field}"] = forms.ChoiceField(
                label=field, required=False, choices=[("", _("the column of this name, if there is one")), *columns]
            )

    def terms(self) -> dict[str, Any]:
        said = self.cleaned_data
        chosen = {field: said[f"of_{field}"] for field in FIELDS}
        return {"format": said["format"], "mapping": {field: column for field, column in chosen.items() if column}}

    def refuse(self, error: StoreError) -> None:
        """Shows what a verb has refused at its field."""
        field = (error.param or "").replace("mapping.", "of_")
        self.add_error(field if field in self.fields else None, error.message)


class TallyForm(forms.Form):
    """A base by its name, and how long an example may be."""

    base = forms.CharField(
        label=_("Model"),
        max_length=200,
        widget=forms.TextInput(attrs={"list": "bases", "autocomplete": "off", "placeholder": "acme/bard"}),
    )
    max_length = forms.IntegerField(
        label=_("Tokens of an example"), required=False, min_value=MIN_LENGTH, max_value=MAX_LENGTH,
        help_text=_("What is longer is cut at its end. Left empty: the model’s context."),
    )  # fmt: skip

    def refuse(self, error: StoreError) -> None:
        self.add_error(error.param if error.param in self.fields else None, error.message)


class ImportForm(forms.Form):
    """A data set of another Hub; ``terms`` is what ``start_data_import`` takes."""

    repo_id = forms.CharField(
        label=_("Data set"), max_length=200,
        widget=forms.TextInput(attrs={"placeholder": "openai/gsm8k", "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    config = forms.CharField(
        label=_("Configuration"), max_length=100, required=False, help_text=_("Where it has several, the name of one.")
    )
    split = forms.CharField(label=_("Split"), max_length=100, initial="train")
    most_rows = forms.IntegerField(
        label=_("Rows at most"), required=False, min_value=1, help_text=_("Left empty: all of them.")
    )
    revision = forms.CharField(
        label=_("Revision"), max_length=100, required=False, widget=forms.TextInput(attrs={"placeholder": "main"})
    )

    def terms(self) -> dict[str, Any]:
        said = self.cleaned_data
        return {**said, "revision": said["revision"] or "main"}

    def refuse(self, error: StoreError) -> None:
        self.add_error(error.param if error.param in self.fields else None, error.message)
