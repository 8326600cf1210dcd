"""What a client may ask to have trained. OpenAI's fields are honoured or refused by name; ours are beside them, for ``extra_body``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from store.accounts.models import Organization
from store.api.v1.parsing import InvalidField, Short, UnsupportedField
from store.catalog.models import Listing
from store.errors import InvalidRequest
from store.runs.books import ModelNotFound
from store.tuning.models import Adaptation, DataFile, TuneMethod
from store.tuning.names import PREFIX, SCRATCH
from store.tuning.reads import tuned_listings
from store.tuning.wishes import Wish

OURS = {"n_epochs": "epochs", "beta": "dpo_beta"}  # OpenAI's names of hyperparameters, and the trainer's
THEIRS = {ours: theirs for theirs, ours in OURS.items()}


class AskedMethod(Struct, forbid_unknown_fields=True):
    """How it is trained. ``shape`` is that of a model from scratch."""

    hyperparameters: dict[str, Any] = {}
    shape: dict[str, Any] = {}


class Method(Struct, forbid_unknown_fields=True):
    """One of OpenAI's methods, or of the store's own: ``text`` is continued pretraining, ``scratch`` a new model."""

    type: Literal["supervised", "dpo", "text", "scratch", "reinforcement"]
    supervised: AskedMethod | None = None
    dpo: AskedMethod | None = None
    text: AskedMethod | None = None
    scratch: AskedMethod | None = None
    reinforcement: dict[str, Any] | None = None


class JobRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/fine_tuning/jobs``."""

    model: Short
    training_file: Short
    validation_file: Short | None = None
    hyperparameters: dict[str, Any] | None = None  # OpenAI's older place for them
    method: Method | None = None
    suffix: Annotated[str, Meta(max_length=64)] | None = None
    seed: int | None = None
    metadata: dict[str, str] | None = None
    integrations: list[dict[str, Any]] | None = None
    adaptation: Literal["lora", "qlora", "full"] | None = None
    sample_prompts: list[str] | None = None


def wish_of(asked: JobRequest, organization: Organization) -> Wish:
    """What is wished for, with the organization's own files. Raises InvalidRequest naming the field, ModelNotFound."""
    if asked.integrations:
        raise UnsupportedField("There are no integrations here: follow the job's events instead.", param="integrations")
    method, own = _method(asked)
    hyper = {OURS.get(name, name): value for name, value in own.hyperparameters.items()}
    if asked.seed is not None:
        hyper["seed"] = asked.seed
    default = Adaptation.FULL if method == TuneMethod.SCRATCH else Adaptation.LORA
    return Wish(
        organization=organization, base=None if method == TuneMethod.SCRATCH else _base(asked.model, organization),
        training_file=_file(asked.training_file, organization, "training_file"),
        validation_file=_file(asked.validation_file, organization, "validation_file") if asked.validation_file else None,
        method=method, adaptation=Adaptation(asked.adaptation) if asked.adaptation else default, hyper=hyper, shape=own.shape,
        sample_prompts=tuple(asked.sample_prompts or ()), suffix=asked.suffix or "", metadata=asked.metadata or {},
    )  # fmt: skip


def in_their_words(error: InvalidRequest) -> InvalidRequest:
    """The same error, which names a hyperparameter as the client did."""
    error.param = THEIRS.get(error.param or "", error.param)
    return error


def _method(asked: JobRequest) -> tuple[TuneMethod, AskedMethod]:
    if asked.method is None:
        if asked.model == SCRATCH:
            return TuneMethod.SCRATCH, AskedMethod(hyperparameters=asked.hyperparameters or {})
        return TuneMethod.SUPERVISED, AskedMethod(hyperparameters=asked.hyperparameters or {})
    if asked.method.type == "reinforcement":
        raise UnsupportedField("Reinforcement fine-tuning is not served: use supervised or dpo.", param="method.type")
    for name in ("supervised", "dpo", "text", "scratch", "reinforcement"):
        if name != asked.method.type and getattr(asked.method, name) is not None:
            raise InvalidField(f"The method is {asked.method.type!r}: leave {name!r} out.", param=f"method.{name}")
    method = TuneMethod(asked.method.type)
    if (method == TuneMethod.SCRATCH) != (asked.model == SCRATCH):
        raise InvalidField(f"A model from scratch has the model {SCRATCH!r}, and no other has.", param="model")
    own = getattr(asked.method, asked.method.type) or AskedMethod()
    if asked.hyperparameters and own.hyperparameters:
        raise InvalidField("Give hyperparameters in `method` only.", param="hyperparameters")
    return method, AskedMethod(hyperparameters=own.hyperparameters or asked.hyperparameters or {}, shape=own.shape)


def _base(name: str, organization: Organization) -> Listing:
    """By its own name, or that which a training gave it. Raises ModelNotFound: somebody else's private model is as one that does not exist."""
    named = tuned_listings(name) if name.startswith(PREFIX) else Listing.objects.named(name)
    found = named.select_related("organization", "current_release__base__listing").first() if "\0" not in name else None
    if found is None or (found.is_private and found.organization_id != organization.pk):
        raise ModelNotFound("The model does not exist, or you do not have access to it.", param="model")
    return found


def _file(public_id: str, organization: Organization, param: str) -> DataFile:
    own = DataFile.objects.kept().filter(organization=organization)
    found = own.filter(public_id=public_id).first() if "\0" not in public_id else None
    if found is None:
        raise InvalidField(f"There is no file {public_id[:60]!r}.", param=param)
    return found
