"""What somebody would like to have trained, and the rules that it must keep before anything is counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from inference.architectures import ENCODERS
from store.accounts.models import Organization
from store.catalog.models import CALLABLE, Listing, Price, Release, Weights
from store.errors import InvalidRequest
from store.tuning.errors import BaseRefused, DataRefused
from store.tuning.models import Adaptation, DataFile, DataFormat, FilePurpose, FileStatus, TuneMethod

SUFFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
MAX_PROMPTS, MAX_PROMPT_CHARS = 8, 2000
MAX_METADATA, MAX_KEY, MAX_VALUE = 16, 64, 512  # as OpenAI's
FORMATS = {
    TuneMethod.SUPERVISED: (DataFormat.CHAT, DataFormat.COMPLETION),
    TuneMethod.DPO: (DataFormat.PREFERENCE,),
    TuneMethod.TEXT: (DataFormat.TEXT,),
    TuneMethod.SCRATCH: (DataFormat.TEXT,),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A training that somebody would like. ``base`` None: a model from scratch, of the ``shape``. What is left out of ``hyper`` is "auto"."""

    organization: Organization
    training_file: DataFile
    base: Listing | None
    validation_file: DataFile | None = None
    method: TuneMethod = TuneMethod.SUPERVISED
    adaptation: Adaptation = Adaptation.LORA
    hyper: Mapping[str, Any] = field(default_factory=dict)
    shape: Mapping[str, Any] = field(default_factory=dict)
    sample_prompts: tuple[str, ...] = ()
    suffix: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


def check_wish(wish: Wish) -> None:
    """Raises InvalidRequest naming the field, BaseRefused, DataRefused."""
    if (wish.base is None) != (wish.method == TuneMethod.SCRATCH):
        raise InvalidRequest(_("A model from scratch has no base; everything else has one."), param="model")
    if wish.base is None and wish.adaptation != Adaptation.FULL:
        raise InvalidRequest(_("A model from scratch has all its weights trained."), param="adaptation")
    if wish.shape and wish.base is not None:
        raise InvalidRequest(_("Only a model from scratch has a shape to choose."), param="shape")
    if wish.base:
        check_base(wish.base, wish.organization, wish.adaptation)
    check_file(wish.training_file, wish.method, param="training_file")
    if wish.validation_file:
        check_file(wish.validation_file, wish.method, param="validation_file")
    _check_words(wish)


def check_base(base: Listing, organization: Organization, adaptation: str) -> Price:
    """The price at which this organization may train it now. Raises BaseRefused, and InvalidRequest (``adaptation``)."""
    release, is_own = base.current_release, base.organization_id == organization.pk
    if release is None or base.status not in CALLABLE or (base.is_private and not is_own):
        raise BaseRefused(_("The model does not exist, or you do not have access to it."), param="model")
    if release.architecture in ENCODERS:
        raise BaseRefused(_("%(name)s writes no text, so it is not trained here.") % {"name": base.name}, param="model")
    price = base.prices.current().first()
    if price is None:
        raise BaseRefused(_("%(name)s has no price, so it cannot be trained.") % {"name": base.name}, param="model")
    if not is_own and not price.derivatives_allowed:
        words = _("The terms of %(name)s do not allow fine-tunes. Choose another model, or ask its provider.")
        raise BaseRefused(words % {"name": base.name}, param="model")
    if adaptation == Adaptation.FULL:
        _check_weights(base, release, organization)
    return price


def _check_weights(base: Listing, release: Release, organization: Organization) -> None:
    """All weights that the result would hand out: those of the base, and of what it is an adapter of."""
    for listing in (base, release.base.listing) if release.base else (base,):
        if listing.organization_id != organization.pk and listing.weights != Weights.OPEN:
            words = _(
                "The weights of %(name)s are not open, and a training of all weights would hand them out: train an adapter."
            )
            raise InvalidRequest(words % {"name": listing.name}, param="adaptation")


def check_file(file: DataFile, method: str, *, param: str) -> None:
    """Of a file that was not read yet nothing is known that could be wrong. Raises DataRefused."""
    words = {"file": file.filename, "why": file.status_details}
    if file.purpose != FilePurpose.TUNE:
        raise DataRefused(_("%(file)s is no training data.") % words, param=param)
    if file.deleted_at is not None or file.blob_id is None:
        raise DataRefused(_("%(file)s was deleted.") % words, param=param)
    if file.status == FileStatus.ERROR:
        raise DataRefused(_("%(file)s cannot be used: %(why)s") % words, param=param)
    wanted = FORMATS[TuneMethod(method)]
    if file.status == FileStatus.PROCESSED and file.format not in wanted:
        kinds = " / ".join(str(kind.label) for kind in wanted)
        message = _("%(file)s holds “%(found)s”, and this method learns from “%(wanted)s”.")
        raise DataRefused(message % {**words, "found": file.get_format_display(), "wanted": kinds}, param=param)


def _check_words(wish: Wish) -> None:
    if wish.suffix and not SUFFIX.fullmatch(wish.suffix):
        raise InvalidRequest(_("A suffix has up to 64 letters, digits, dots, dashes and underscores."), param="suffix")
    prompts = wish.sample_prompts
    if len(prompts) > MAX_PROMPTS or not all(0 < len(prompt) <= MAX_PROMPT_CHARS for prompt in prompts):
        raise InvalidRequest(_("Up to 8 prompts of 1 to 2000 characters are answered."), param="sample_prompts")
    pairs = wish.metadata.items()
    if len(pairs) > MAX_METADATA or not all(
        0 < len(key) <= MAX_KEY and len(value) <= MAX_VALUE for key, value in pairs
    ):
        raise InvalidRequest(
            _("Up to 16 pairs, with keys of 64 and values of 512 characters at most."), param="metadata"
        )
