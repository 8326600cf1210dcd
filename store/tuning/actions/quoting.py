"""What a training would be and cost, before it is asked for: every hyperparameter computed, the most tokens, their price.

The tokens are those of the base's own tokenizer, counted by the child that checks the data (``Tally``). Until they are counted a quote
says so, and has no amount.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from inference import wire
from inference.errors import InvalidRequest as Unresolved
from inference.manifest import ADAPTER_CONFIG
from inference.training.auto import MAX_AUTO_LENGTH, Facts, most_tokens, resolve, resolve_shape, steps_of
from inference.training.shape import architecture_of_shape
from store.catalog.actions.releases import config_of
from store.catalog.commissions import commission_of
from store.catalog.models import Release
from store.errors import InvalidRequest
from store.ledger.pricing import PPM, training_charge
from store.tuning.actions.tallies import tally_of
from store.tuning.errors import DataRefused
from store.tuning.models import DataFile, FileStatus, Tally, TallyStatus
from store.tuning.wishes import Wish, check_base, check_wish

ALL_LINEAR = "all-linear"
MAX_TOKENS = 10**13
MAX_AMOUNT_NANO = 10**15  # a million dollars
BYTES_PER_TOKEN = 4  # about, of a tokenizer that is yet to be trained: what "auto" goes by


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """``hyper`` None: the file is still being read or counted. ``tokens`` is the most that is trained, ``amount_nano`` what is held for it."""

    release_id: int | None  # what is trained; None: a model from scratch
    price_id: int | None
    price_nano: int  # per million tokens
    commission_ppm: int
    royalty_ppm: int  # of what calls of the result cost, if it is sold
    hyper: wire.Hyper | None = None
    shape: wire.ScratchConfig | None = None
    examples: int = 0
    file_tokens: int = 0  # of the whole training file, once
    truncated: int = 0  # examples that are cut at hyper.max_length
    steps: int = 0  # about
    tokens: int = 0
    amount_nano: int = 0

    @property
    def is_counted(self) -> bool:
        return self.hyper is not None


def quote_job(wish: Wish) -> Quote:
    """What the training would be at this moment; asks for the counting where it was not done. Nothing is held.

    Raises InvalidRequest naming the field or the hyperparameter, BaseRefused, DataRefused.
    """
    check_wish(wish)
    try:
        return _quote_scratch(wish) if wish.base is None else _quote_tuning(wish)
    except Unresolved as error:
        raise InvalidRequest(f"{str(error)[:1].upper()}{str(error)[1:]}.", param=error.param) from error


def _quote_tuning(wish: Wish) -> Quote:
    assert wish.base
    assert wish.base.current_release
    release, price = wish.base.current_release, check_base(wish.base, wish.organization, wish.adaptation)
    bare = Quote(
        release_id=release.pk, price_id=price.pk, price_nano=price.training_nano, commission_ppm=commission_of(wish.base).ppm,
        royalty_ppm=price.royalty_ppm,
    )  # fmt: skip
    parameters = release.base.parameters if release.base else release.parameters
    facts = _unread(wish, parameters=parameters, context_length=release.context_length)
    if release.base:
        facts = replace(facts, adapter=_adapter_of(release))
    asked = resolve(wish.hyper, facts).max_length if "max_length" in wish.hyper else MAX_AUTO_LENGTH
    tally = tally_of(file=wish.training_file, release=release, max_length=min(asked, release.context_length))
    if not (_is_read(wish.training_file) and _is_read(wish.validation_file) and _is_done(tally)):
        resolve(wish.hyper, facts)  # what is wrong whatever is counted is said at once
        return bare
    facts = replace(facts, examples=tally.examples, tokens=tally.tokens, longest=tally.longest)
    hyper = resolve(wish.hyper, facts)
    return _final(bare, hyper, facts, tokens=most_tokens(hyper, facts), truncated=tally.truncated)


def _adapter_of(release: Release) -> dict[str, Any]:
    """What an adapter's own config says of the shape that training goes on with."""
    config = config_of(release, ADAPTER_CONFIG)
    targets = config.get("target_modules") or ALL_LINEAR
    return {
        "rank": config["r"], "alpha": float(config["lora_alpha"]), "dropout": float(config.get("lora_dropout") or 0.0),
        "targets": targets if isinstance(targets, str) else ",".join(sorted(targets)),
    }  # fmt: skip


def _quote_scratch(wish: Wish) -> Quote:
    """Its tokenizer is yet to be trained, so what is held is what there can be: a token for each byte, and one to end each text."""
    bare = Quote(
        release_id=None, price_id=None, price_nano=settings.TRAINING_PRICE_NANO, commission_ppm=PPM, royalty_ppm=0
    )  # the store's own offer: nobody else has a share
    file = wish.training_file
    shape = resolve_shape(wish.shape, tokens=file.size // BYTES_PER_TOKEN)
    parameters = architecture_of_shape(shape).parameters
    facts = _unread(wish, parameters=parameters, context_length=shape.context_length)
    if not (_is_read(file) and _is_read(wish.validation_file)):
        resolve(wish.hyper, facts)
        return bare
    about = replace(facts, examples=file.examples, tokens=max(1, file.size // BYTES_PER_TOKEN))
    hyper = resolve(wish.hyper, about)
    most = replace(about, tokens=file.size + file.examples)
    return _final(replace(bare, shape=shape), hyper, about, tokens=most_tokens(hyper, most))


def _unread(wish: Wish, *, parameters: int, context_length: int) -> Facts:
    """What a file is taken for while it is being read: enough to find what is wrong with hyperparameters by themselves."""
    method: Any = wish.method.value
    adaptation: Any = wish.adaptation.value
    return Facts(
        method=method, adaptation=adaptation, examples=1000, tokens=100_000, parameters=parameters,
        context_length=context_length, has_validation=wish.validation_file is not None,
    )  # fmt: skip


def _is_read(file: DataFile | None) -> bool:
    return file is None or file.status == FileStatus.PROCESSED


def _is_done(tally: Tally) -> bool:
    """Raises DataRefused where the counting has found that there is nothing to train on."""
    if tally.status == TallyStatus.FAILED:
        raise DataRefused(tally.error, param="training_file")
    return tally.status == TallyStatus.DONE


def _final(bare: Quote, hyper: wire.Hyper, facts: Facts, *, tokens: int, truncated: int = 0) -> Quote:
    """Raises InvalidRequest where it is more than anybody may ask for."""
    amount = training_charge(bare.price_nano, tokens)
    if tokens > MAX_TOKENS or amount > MAX_AMOUNT_NANO:
        raise InvalidRequest(_("That is more training than one job may be: choose fewer epochs."), param="epochs")
    return replace(
        bare, hyper=hyper, examples=facts.examples, file_tokens=facts.tokens, truncated=truncated,
        steps=steps_of(hyper, facts), tokens=tokens, amount_nano=amount,
    )  # fmt: skip
