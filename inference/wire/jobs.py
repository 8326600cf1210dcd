"""The messages of measuring a release and of converting a pickle: one Celery task to a worker, reports back as tasks. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeVar

from inference.wire.releases import WIRE_VERSION, ReleaseRef, WireError, check_version

EVALUATE_TASK: Final = "evaluate.release"
EVALUATE_QUEUE: Final = "evaluate"
CONVERT_TASK: Final = "convert.pickle"
CONVERT_QUEUE: Final = "convert"
CPU_QUEUE: Final = "cpu"  # where a worker sends its reports to the store, as Celery tasks
MEASURED_TASK: Final = "catalog.measured"  # (measurement id, attempt, MeasurementReport.as_json())
CONVERTED_TASK: Final = "catalog.converted"  # (job id, attempt, ConversionReport.as_json())

M = TypeVar("M")


def _from_json(kind: type[M], data: dict[str, Any], **refs: ReleaseRef) -> M:
    """A message of plain fields. Raises :class:`WireError` on another version or shape."""
    check_version(data)
    try:
        return kind(**{**data, **refs})
    except TypeError as error:
        raise WireError(f"malformed {kind.__name__}: {error}") from error


def _release_of(data: dict[str, Any], key: str) -> ReleaseRef:
    try:
        return ReleaseRef.from_json(data[key])
    except (KeyError, TypeError, AttributeError) as error:
        raise WireError(f"malformed {key}: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateSpec:
    """The one argument of ``evaluate.release``: measure a release. The reports go to ``reply_task``; a higher attempt replaces a lower one."""

    measurement_id: int
    attempt: int  # from 1
    release: ReleaseRef
    reply_task: str = MEASURED_TASK
    budget_s: float = 600.0  # about how long measuring may take, loading not included
    version: int = WIRE_VERSION

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EvaluateSpec:
        """Raises :class:`WireError`."""
        return _from_json(cls, data, release=_release_of(data, "release"))


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasurementReport:
    """What a worker found, or how far it is. The numbers are named as those of ``store.catalog.models.Measurement``.

    "unfit": the model cannot answer; "failed": it could not be measured here, and may be elsewhere. Both have an ``error``, a
    sentence for the provider.
    """

    status: Literal["running", "done", "unfit", "failed"]
    progress: float = 0.0  # 0 to 1
    step: str = ""  # what it does now, for people
    error: str = ""
    hardware: str = ""
    software: str = ""
    reference: str = ""  # digest of the reference text
    perplexity: float | None = None  # per token
    held_out_perplexity: float | None = None
    ttft_ms: float | None = None
    tokens_per_s_1: float | None = None
    tokens_per_s_8: float | None = None
    tokens_per_s_32: float | None = None
    memory_bytes: int | None = None
    sample: str = ""
    version: int = WIRE_VERSION

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> MeasurementReport:
        """Raises :class:`WireError`."""
        return _from_json(cls, data)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertSpec:
    """The one argument of ``convert.pickle``: turn the plain state dict of a ``.pth`` into safetensors, in a sandbox.

    ``source_url`` is read by GET, ``target_url`` is where each file of the result is created by tus (POST, then PATCH); both with
    ``token`` as Bearer. The reports go to ``reply_task``.
    """

    job_id: int
    attempt: int  # from 1
    source_url: str
    source_name: str  # "fine_tuned_weights.pth"
    source_sha256: str
    source_size: int  # bytes
    base: ReleaseRef  # whose config says what the tensors are called
    target_url: str
    organization: str  # whose files the result shall be
    token: str
    reply_task: str = CONVERTED_TASK
    version: int = WIRE_VERSION

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ConvertSpec:
        """Raises :class:`WireError`."""
        return _from_json(cls, data, base=_release_of(data, "base"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversionReport:
    """How a conversion goes. "refused": the file cannot be converted, and ``error`` says why; "failed": not here, not now."""

    status: Literal["running", "done", "refused", "failed"]
    progress: float = 0.0  # 0 to 1
    error: str = ""
    files: dict[str, str] = field(default_factory=dict)  # what was uploaded: path -> sha256
    notes: list[str] = field(default_factory=list)  # sentences for the owner
    version: int = WIRE_VERSION

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ConversionReport:
        """Raises :class:`WireError`."""
        return _from_json(cls, data)
