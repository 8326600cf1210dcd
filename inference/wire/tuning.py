"""The messages of a fine-tuning job: one Celery task to a worker, reports back as tasks, and a key that says go on, pause or cancel.

The store sends a :class:`TuneSpec` as the one argument of ``tune.run``. The worker claims the attempt (``claim_key(control_key(job_id))``:
an epoch not above the stored one is dropped), and answers with :class:`TuneReport` messages, at least one in REPORT_SILENCE_S, until
one of them is final. Between two reports it reads ``control_key(job_id)``; an epoch there, or in the claim, above its own means that
somebody else has the job: it says nothing more. A job goes on under a higher epoch with the newest checkpoint as ``resume``, on
whichever worker. Standard library only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from inference.wire.releases import WIRE_VERSION, ReleaseRef, WireError, check_version

TUNE_TASK: Final = "tune.run"
TUNE_QUEUE: Final = "tune"
TUNED_TASK: Final = "tuning.reported"  # (job id, epoch, TuneReport.as_json()) on CPU_QUEUE
REPORT_SILENCE_S: Final = 60.0  # a worker that has not reported for this long is gone

Method = Literal["supervised", "dpo", "text", "scratch"]
Adaptation = Literal["lora", "qlora", "full"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]  # auto: bfloat16 on a GPU that has it, else float32
Schedule = Literal["cosine", "linear", "constant"]
Optimizer = Literal["adamw", "adam", "sgd", "adafactor", "adamw_8bit"]
Architecture = Literal["gpt2", "llama"]  # of a model from nothing
Wanted = Literal["run", "pause", "cancel"]
TuneStatus = Literal["running", "checkpoint", "done", "stopped", "failed", "refused"]


def control_key(job_id: int) -> str:
    """The Redis key that says what the store wants of a job: :meth:`Control.encode`. Absent: run."""
    return f"tune:{job_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """What the store wants of a job. ``epoch``: the newest attempt; every older one is over."""

    epoch: int
    wanted: Wanted = "run"

    def encode(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, data: str | bytes) -> Control:
        """Raises :class:`WireError`."""
        try:
            message = json.loads(data)
            control = cls(epoch=int(message["epoch"]), wanted=message["wanted"])
        except (ValueError, KeyError, TypeError) as error:
            raise WireError(f"malformed control: {error}") from error
        if control.wanted not in ("run", "pause", "cancel"):
            raise WireError(f"malformed control: wanted {control.wanted!r}")
        return control


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRef:
    """A file of examples: read by GET of ``url`` with ``token`` as Bearer. ``format`` and ``mapping`` as in ``inference.training.data``."""

    url: str
    sha256: str
    size: int  # bytes
    format: str  # "chat", "completion", "preference", "text"
    filename: str  # whose ending says the container: "train.jsonl"
    token: str
    mapping: dict[str, str] = field(default_factory=dict)  # field -> column, of CSV and Parquet


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRef:
    """Where training goes on. Each file is read by GET of ``url`` + its sha256, with ``token`` as Bearer."""

    step: int
    trained_tokens: int
    files: dict[str, str]  # path -> sha256, as they were reported
    url: str  # a prefix, its last slash included
    token: str
    size: int = 0  # bytes of all files


@dataclass(frozen=True, kw_only=True, slots=True)
class ScratchConfig:
    """The shape of a model that is made from nothing."""

    architecture: Architecture = "gpt2"
    layers: int = 6
    width: int = 256
    heads: int = 4  # which divide the width
    context_length: int = 512  # tokens
    vocab_size: int = 4096  # of a byte-level BPE that is trained on the data


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyper:
    """How it is trained: every value is one, none is "auto" any more (``inference.training.auto.resolve``).

    Exactly one of ``epochs`` and ``steps`` is set. One step is ``batch_size * accumulation`` examples (with ``packing``: rows of up
    to ``max_length`` tokens, made of whole examples). A ``warmup`` below 1 is a share of all steps, else a number of them.
    """

    epochs: float | None = None
    steps: int | None = None
    batch_size: int = (
        8  # examples on the device at once; halved, and accumulation doubled, where memory does not suffice
    )
    accumulation: int = 1
    learning_rate: float = 2e-4
    schedule: Schedule = "cosine"
    warmup: float = 0.03
    optimizer: Optimizer = "adamw"
    weight_decay: float = 0.0
    clip: float = 1.0  # of the gradient's norm; 0: never
    max_length: int = 1024  # tokens of one example; the rest is cut off
    packing: bool = False
    precision: Precision = "auto"
    rank: int = 16  # of LoRA, as are alpha, dropout and targets
    alpha: float = 32.0
    dropout: float = 0.0
    targets: str = "all-linear"  # or names of modules, separated by commas
    dpo_beta: float = 0.1
    eval_every: int = 0  # steps; 0: at the end of each epoch
    checkpoint_every: int = 0  # steps; 0: by the clock, so that writing takes a twentieth of the time at most
    early_stopping_patience: int = 0  # evaluations without a better loss; 0: never stops early
    split: float = 0.0  # share of the training file that is held out, where there is no validation file
    seed: int = 42


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneSpec:
    """The one argument of ``tune.run``: one attempt at a job.

    Checkpoints and results are created at ``upload_url`` by tus (POST, then PATCH) with ``token`` as Bearer, as files of
    ``organization``. The reports go to ``reply_task``.
    """

    job_id: int
    epoch: int  # attempt, from 1; a higher one replaces a lower one
    name: str  # "ftjob-...": for logs, and for the card of the result
    method: Method
    adaptation: Adaptation  # "full" where the method is "scratch"
    training: DataRef
    hyper: Hyper
    upload_url: str
    organization: str
    token: str
    base: ReleaseRef | None = None  # None where the method is "scratch"
    validation: DataRef | None = None
    model: ScratchConfig | None = None  # where the method is "scratch"
    sample_prompts: list[str] = field(default_factory=list)  # answered at each evaluation
    resume: CheckpointRef | None = None
    token_limit: int = 0  # what is held: no step begins that would train more; 0: no limit
    reply_task: str = TUNED_TASK
    version: int = WIRE_VERSION

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON types, the argument of ``tune.run``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TuneSpec:
        """Raises :class:`WireError` on a message of another version or shape."""
        check_version(data)
        try:
            parts = {
                "training": DataRef(**data["training"]),
                "hyper": Hyper(**data["hyper"]),
                "base": ReleaseRef.from_json(data["base"]) if data["base"] else None,
                "validation": DataRef(**data["validation"]) if data["validation"] else None,
                "model": ScratchConfig(**data["model"]) if data["model"] else None,
                "resume": CheckpointRef(**data["resume"]) if data["resume"] else None,
            }
            return cls(**{**data, **parts})
        except (KeyError, TypeError, AttributeError) as error:
            raise WireError(f"malformed TuneSpec: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One step as it was measured. ``val_loss`` and ``val_accuracy`` are there where it was evaluated."""

    step: int  # from 1; 0 is the base before any training
    loss: float | None = None  # mean cross-entropy per trained token, nats; with dpo its own loss
    val_loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None  # before it was clipped
    tokens_per_s: float | None = None
    memory_bytes: int | None = None  # most that the training process has used
    accuracy: float | None = None  # share of trained tokens (with dpo: of pairs) that were guessed right
    val_accuracy: float | None = None
    trained_tokens: int = 0  # up to and with this step
    at: float = 0.0  # unix time


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What the model answers to one of ``sample_prompts`` after ``step`` steps; 0: the base."""

    step: int
    prompt: str
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A place to go on from, and a model that can be called: ``files`` holds both, ``model_files`` names those of the model."""

    step: int
    trained_tokens: int
    files: dict[str, str]  # path -> sha256, all uploaded: "adapter_model.safetensors", "state/optimizer.safetensors"
    model_files: list[str] = field(default_factory=list)
    val_loss: float | None = None
    is_best: bool = False  # the lowest validation loss so far


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneReport:
    """How a job goes, or how an attempt at it ended.

    "running": ``points`` and ``samples`` are those since the last report. "checkpoint": the same, and a ``checkpoint`` is uploaded.
    "done": ``files`` is the result. "stopped": as the store wanted (pause, cancel), after a last checkpoint where one could be
    written. "failed": ``error_code`` and ``error`` (a sentence) say why; ``is_ours`` whether another attempt may do better.
    "refused": never with this data or these hyperparameters. ``trained_tokens`` counts the whole job, all attempts together, and of
    "failed" what the last good checkpoint holds.
    """

    status: TuneStatus
    stage: str = ""  # what it does now, for people
    step: int = 0
    steps: int = 0  # of the whole job; 0 until it is known
    epoch_done: float = 0.0  # passes over the data
    trained_tokens: int = 0
    points: list[Point] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    files: dict[str, str] = field(default_factory=dict)  # of the result: path -> sha256
    metrics_sha256: str = ""  # of a CSV of all points, uploaded like the files
    notes: list[str] = field(default_factory=list)  # sentences for the owner
    error_code: str = ""  # "diverged", "out_of_memory", "disk_full", "invalid_data", "invalid_hyperparameters", "base_gone", "worker_failed"
    error: str = ""
    is_ours: bool = False
    eta_s: float | None = None
    perplexity_before: float | None = None  # on what was held out, per trained token
    perplexity_after: float | None = None
    best_step: int | None = None
    version: int = WIRE_VERSION

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TuneReport:
        """Raises :class:`WireError`."""
        check_version(data)
        try:
            parts = {
                "points": [Point(**point) for point in data["points"]],
                "samples": [Sample(**sample) for sample in data["samples"]],
                "checkpoint": Checkpoint(**data["checkpoint"]) if data["checkpoint"] else None,
            }
            return cls(**{**data, **parts})
        except (KeyError, TypeError, AttributeError) as error:
            raise WireError(f"malformed TuneReport: {error}") from error
