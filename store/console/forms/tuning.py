"""The form of a training: data, base, method, and hyperparameters, which are computed where they are left empty."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.errors import StoreError
from store.tuning.models import Adaptation, DataFile, FilePurpose, TuneMethod
from store.tuning.names import PREFIX
from store.tuning.reads import tuned_listings
from store.tuning.wishes import Wish

MAX_VALUE = 200  # characters of a hyperparameter
AUTO = ("", _("computed"))
CHOICES = {
    "schedule": ("cosine", "linear", "constant"),
    "optimizer": ("adamw", "adam", "sgd", "adafactor", "adamw_8bit"),
    "precision": ("float32", "bfloat16", "float16"),
    "packing": ("true", "false"),
    "architecture": ("gpt2", "llama"),
}
# As a person reads them; the names are those of inference.wire.Hyper and ScratchConfig.
MAIN = {
    "epochs": _("Epochs"),
    "learning_rate": _("Learning rate"),
    "batch_size": _("Batch size"),
    "max_length": _("Longest example, tokens"),
}
FINE = {
    "steps": _("Steps, in place of epochs"),
    "learning_rate_multiplier": _("Learning rate multiplier"),
    "accumulation": _("Accumulation, batches a step"),
    "schedule": _("Schedule"),
    "warmup": _("Warm-up, a share or steps"),
    "optimizer": _("Optimizer"),
    "weight_decay": _("Weight decay"),
    "clip": _("Gradient clipping, norm"),
    "precision": _("Precision"),
    "packing": _("Packing"),
    "rank": _("LoRA rank"),
    "alpha": _("LoRA alpha"),
    "dropout": _("LoRA dropout"),
    "targets": _("LoRA targets"),
    "dpo_beta": _("DPO beta"),
    "split": _("Held out, a share"),
    "eval_every": _("Evaluate each so many steps"),
    "checkpoint_every": _("Checkpoint each so many steps"),
    "early_stopping_patience": _("Stop early after so many evaluations"),
    "seed": _("Seed"),
}
SHAPE = {
    "architecture": _("Architecture"),
    "layers": _("Layers"),
    "width": _("Width"),
    "heads": _("Heads"),
    "context_length": _("Context, tokens"),
    "vocab_size": _("Vocabulary"),
}
LABELS = {**MAIN, **FINE, **SHAPE}
FIELD_OF = {"model": "base", "n_epochs": "epochs"}  # where a verb has another word


class FileChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Files by their public ids."""

    def __init__(self, **options: Any) -> None:
        super().__init__(queryset=DataFile.objects.none(), to_field_name="public_id", **options)

    def label_from_instance(self, obj: DataFile) -> str:
        return f"{obj.filename} · {obj.get_status_display()}"


class TuneForm(forms.Form):
    """``wish`` is what the verbs of tuning take."""

    training_file = FileChoice(label=_("Training data"), empty_label=_("Choose a file"))
    validation_file = FileChoice(
        label=_("Validation data"), required=False, empty_label=_("A part of the training data is held out")
    )
    method = forms.ChoiceField(label=_("Method"), choices=TuneMethod, initial=TuneMethod.SUPERVISED)
    base = forms.CharField(
        label=_("Base model"), max_length=200,
        widget=forms.TextInput(attrs={"list": "bases", "autocomplete": "off", "spellcheck": "false", "placeholder": "acme/bard"}),
    )  # fmt: skip
    adaptation = forms.ChoiceField(label=_("What is trained"), choices=Adaptation, initial=Adaptation.LORA)
    sample_prompts = forms.CharField(
        label=_("Prompts to watch"), required=False, max_length=20_000,
        help_text=_("One a line, up to 8. They are answered before the training and at each evaluation."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    suffix = forms.CharField(
        label=_("Name"), required=False, max_length=64, help_text=_("Becomes part of the model’s name.")
    )
    use_required_attribute = False  # what is required changes with the method
    once = forms.UUIDField(widget=forms.HiddenInput, required=False)  # the same form twice is one job

    def __init__(self, *args: Any, organization: Organization, user: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.organization, self.user = organization, user
        files = DataFile.objects.kept().filter(organization=organization, purpose=FilePurpose.TUNE).order_by("-pk")
        self.fields["training_file"].queryset = files  # type: ignore[attr-defined]
        self.fields["validation_file"].queryset = files  # type: ignore[attr-defined]
        self.fields["once"].initial = uuid4
        self.fields["base"].required = self["method"].value() != TuneMethod.SCRATCH
        for name, label in LABELS.items():
            self.fields[name] = _of_hyper(name, label)

    def clean_base(self) -> Listing | None:
        name = self.cleaned_data["base"].strip()
        if not name or self.cleaned_data.get("method") == TuneMethod.SCRATCH:
            return None
        named = tuned_listings(name) if name.startswith(PREFIX) else Listing.objects.named(name)
        visible = Listing.objects.visible_to(self.user).filter(pk__in=named)
        found = visible.select_related("organization", "current_release__base__listing").first()
        if found is None:
            raise ValidationError(_("There is no such model."))
        return found

    @property
    def main(self) -> list[forms.BoundField]:
        return [self[name] for name in MAIN]

    @property
    def fine(self) -> list[forms.BoundField]:
        return [self[name] for name in FINE]

    @property
    def shape(self) -> list[forms.BoundField]:
        return [self[name] for name in SHAPE]

    def wish(self) -> Wish:
        said = self.cleaned_data
        method = TuneMethod(said["method"])
        is_scratch = method == TuneMethod.SCRATCH
        return Wish(
            organization=self.organization, training_file=said["training_file"], validation_file=said["validation_file"],
            base=said["base"], method=method, adaptation=Adaptation.FULL if is_scratch else Adaptation(said["adaptation"]),
            hyper=_given(said, [*MAIN, *FINE]), shape=_given(said, SHAPE) if is_scratch else {}, suffix=said["suffix"],
            sample_prompts=tuple(line.strip() for line in said["sample_prompts"].splitlines() if line.strip()),
        )  # fmt: skip

    def refuse(self, error: StoreError) -> None:
        """Shows what a verb refused, at the field if it names one."""
        param = FIELD_OF.get(error.param or "", error.param)
        self.add_error(param if param in self.fields else None, error.message)


def _of_hyper(name: str, label: Any) -> forms.Field:
    if name in CHOICES:
        return forms.ChoiceField(label=label, required=False, choices=[AUTO, *((each, each) for each in CHOICES[name])])
    widget = forms.TextInput(attrs={"autocomplete": "off", "placeholder": AUTO[1], "data-computed": name})
    return forms.CharField(label=label, required=False, max_length=MAX_VALUE, widget=widget)


def _given(said: dict[str, Any], names: Any) -> dict[str, Any]:
    """What was written, as JSON would have it; what was left empty is not there."""
    return {name: _value(said[name].strip()) for name in names if said[name].strip()}


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
