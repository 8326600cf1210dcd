"""What "auto" means: each hyperparameter that was not given, computed from what is known of the base and of the data. No torch.

The store resolves before it quotes, so a page shows the values that will be used; the trainer computes none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, get_args

from inference.architectures import ConfigError
from inference.errors import InvalidRequest
from inference.training.shape import architecture_of_shape
from inference.wire import Adaptation, Architecture, Hyper, Method, Optimizer, Precision, Schedule, ScratchConfig

AUTO: Final = "auto"
MULTIPLIER: Final = "learning_rate_multiplier"  # OpenAI's: of the learning rate that "auto" would be
TARGET_EXAMPLES: Final = 100  # a small file is read again until about so many examples were
MAX_AUTO_EPOCHS: Final = 10
MAX_AUTO_LENGTH: Final = 4096  # tokens
LEAST_TO_SPLIT: Final = 20  # examples: with fewer, all are trained
SPLIT: Final = 0.05
MAX_HELD_OUT: Final = 1000  # examples
TOKENS_PER_PARAMETER: Final = 20  # of pretraining (Hoffmann and others, 2022)
LLAMA_7B: Final = 7e9  # parameters, for which 2e-4 is what LoRA is trained with
MODULE: Final = re.compile(r"[A-Za-z0-9_.]{1,200}")
ROWS_PER_PASS: Final = 64  # steps that "auto" would like a pass over little data to have


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known before anything is trained. Tokens as ``inference.training.data`` counts them, after cutting at the length."""

    method: Method
    adaptation: Adaptation
    examples: int
    tokens: int  # of all examples together
    parameters: int  # of the base, or of the new model
    context_length: int  # tokens, of the base or of the new model
    longest: int | None = None  # tokens of the longest example
    has_validation: bool = False  # a file of its own
    adapter: Mapping[str, Any] | None = (
        None  # rank, alpha, dropout and targets of a base that is an adapter, which is gone on with
    )


def resolve(asked: Mapping[str, Any], facts: Facts) -> Hyper:
    """Every hyperparameter: as asked, or computed where it is "auto", None or not there.

    Raises :class:`InvalidRequest`, whose ``param`` is the name of the hyperparameter at fault.
    """
    given = {name: value for name, value in asked.items() if value is not None and value != AUTO}
    known = {field.name for field in fields(Hyper)} | {MULTIPLIER}
    for name in given:
        if name not in known:
            raise InvalidRequest(f"there is no hyperparameter {name[:60]!r}", param=name)
    values: dict[str, Any] = {}
    for field in fields(Hyper):
        if field.name in given:
            values[field.name] = _CHECKS[field.name](field.name, given[field.name])
    if facts.adapter is not None and facts.adaptation != "full":
        for name in sorted(facts.adapter.keys() & values.keys()):
            raise InvalidRequest(f"the model is an adapter, which is trained on as it is: leave {name} out", param=name)
        values |= facts.adapter
    _check_together(values, facts)
    if MULTIPLIER in given and "learning_rate" in given:
        raise InvalidRequest("give the learning rate or its multiplier, not both", param=MULTIPLIER)
    for name, compute in _AUTO.items():
        if name not in values:
            values[name] = compute(values, facts)
    if MULTIPLIER in given:
        values["learning_rate"] *= _number(low=1e-4, high=1e4)(MULTIPLIER, given[MULTIPLIER])
    return Hyper(**values)


def resolve_shape(asked: Mapping[str, Any], *, tokens: int) -> ScratchConfig:
    """The shape of a model from nothing; "auto" follows how much there is to read, ``tokens`` being about a quarter of its bytes.

    Raises :class:`InvalidRequest`.
    """
    given = {name: value for name, value in asked.items() if value is not None and value != AUTO}
    for name in given:
        if name not in _SHAPE:
            raise InvalidRequest(f"there is no {name[:60]!r} in a model's shape", param=name)
    values = {name: _SHAPE[name](name, value) for name, value in given.items()}
    large = tokens >= 20_000_000
    values.setdefault("width", 512 if large else 256 if tokens >= 500_000 else 128)
    values.setdefault("layers", 8 if large else 6 if tokens >= 500_000 else 4)
    values.setdefault("heads", next(n for n in (max(1, values["width"] // 64), 4, 2, 1) if values["width"] % n == 0))
    values.setdefault("vocab_size", 16_384 if large else 4096 if tokens >= 500_000 else 1024)
    shape = ScratchConfig(**values)
    if shape.architecture == "llama" and (shape.width // shape.heads) % 2:
        raise InvalidRequest("the width of one head must be even", param="heads")
    try:
        architecture_of_shape(shape)
    except ConfigError as error:
        raise InvalidRequest(str(error), param="heads" if shape.width % shape.heads else "width") from error
    return shape


def steps_of(hyper: Hyper, facts: Facts) -> int:
    """How many steps it will be, about: packing, and what is held out, are only known once the data is read."""
    if hyper.steps is not None:
        return hyper.steps
    rows = facts.examples * (1 - hyper.split)
    if hyper.packing:
        rows = min(rows, facts.tokens * (1 - hyper.split) / hyper.max_length)
    return max(1, math.ceil((hyper.epochs or 0) * max(1.0, rows / (hyper.batch_size * hyper.accumulation))))


def most_tokens(hyper: Hyper, facts: Facts) -> int:
    """The most that can be trained, in tokens: what is held of the customer's money, and the ``token_limit`` of the spec."""
    if hyper.steps is None:
        return math.ceil((hyper.epochs or 0) * facts.tokens)
    per_row = hyper.max_length if hyper.packing or facts.longest is None else min(facts.longest, hyper.max_length)
    # A pair is an example of two answers, each as long as an example may be.
    pair = 2 if facts.method == "dpo" else 1
    return hyper.steps * hyper.batch_size * hyper.accumulation * per_row * pair


def _number(*, low: float, high: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InvalidRequest(f"{name} must be a number from {low:g} to {high:g}", param=name)
        return float(value)

    return check


def _whole(*, low: int, high: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or value != int(value):
            raise InvalidRequest(f"{name} must be a whole number from {low} to {high}", param=name)
        return int(value)

    return check


def _one_of(kind: Any) -> Callable[[str, Any], str]:
    names = get_args(kind)

    def check(name: str, value: Any) -> str:
        if value not in names:
            raise InvalidRequest(f"{name} must be one of {', '.join(names)}", param=name)
        return str(value)

    return check


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} must be true or false", param=name)
    return value


def _names(name: str, value: Any) -> str:
    parts = [str(part).strip() for part in (value if isinstance(value, list) else str(value).split(","))]
    if parts != ["all-linear"] and not all(MODULE.fullmatch(part) for part in parts):
        raise InvalidRequest(f"{name} must be all-linear, or names of modules as q_proj,v_proj", param=name)
    return ",".join(parts)


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "epochs": _number(low=0.01, high=100),
    "steps": _whole(low=1, high=1_000_000),
    "batch_size": _whole(low=1, high=4096),
    "accumulation": _whole(low=1, high=4096),
    "learning_rate": _number(low=1e-9, high=1e3),  # what diverges is stopped, and is the owner's to try
    "schedule": _one_of(Schedule),
    "warmup": _number(low=0, high=1_000_000),
    "optimizer": _one_of(Optimizer),
    "weight_decay": _number(low=0, high=1),
    "clip": _number(low=0, high=1e6),
    "max_length": _whole(low=8, high=1_000_000),
    "packing": _flag,
    "precision": _one_of(Precision),
    "rank": _whole(low=1, high=512),
    "alpha": _number(low=0.01, high=4096),
    "dropout": _number(low=0, high=0.9),
    "targets": _names,
    "dpo_beta": _number(low=0.001, high=10),
    "eval_every": _whole(low=0, high=1_000_000),
    "checkpoint_every": _whole(low=0, high=1_000_000),
    "early_stopping_patience": _whole(low=0, high=10_000),
    "split": _number(low=0, high=0.5),
    "seed": _whole(low=0, high=2**31 - 1),
}
_SHAPE: Final[dict[str, Callable[[str, Any], Any]]] = {
    "architecture": _one_of(Architecture),
    "layers": _whole(low=1, high=128),
    "width": _whole(low=8, high=16_384),
    "heads": _whole(low=1, high=256),
    "context_length": _whole(low=16, high=131_072),
    "vocab_size": _whole(low=300, high=262_144),  # 256 bytes, two control tokens, and room to merge
}


def _check_together(values: Mapping[str, Any], facts: Facts) -> None:
    """Raises :class:`InvalidRequest` for what is fine alone and wrong beside the rest."""
    if "epochs" in values and "steps" in values:
        raise InvalidRequest("give epochs or steps, not both", param="steps")
    if values.get("max_length", 0) > facts.context_length:
        message = f"max_length is {values['max_length']}, and the model reads at most {facts.context_length} tokens"
        raise InvalidRequest(message, param="max_length")
    if values.get("packing") and facts.method == "dpo":
        raise InvalidRequest("pairs of dpo cannot be packed", param="packing")


def _epochs(values: Mapping[str, Any], facts: Facts) -> float | None:
    if values.get("steps") is not None:
        return None
    if facts.method == "scratch":
        return float(min(20, max(1, round(TOKENS_PER_PARAMETER * facts.parameters / max(facts.tokens, 1)))))
    if facts.method in ("dpo", "text"):
        return 1.0
    return float(min(MAX_AUTO_EPOCHS, max(3, math.ceil(TARGET_EXAMPLES / max(facts.examples, 1)))))


def _batch_size(values: Mapping[str, Any], facts: Facts) -> int:
    """A power of two from 4 to 32, and few enough that a pass over little data has some steps; never more than there are examples."""
    rows = facts.examples
    if values["packing"]:
        rows = math.ceil(facts.tokens / values["max_length"])
    wanted: int = 2 ** round(math.log2(max(rows / ROWS_PER_PASS, 1)))
    return max(1, min(rows, max(4, min(32, wanted))))


def _learning_rate(values: Mapping[str, Any], facts: Facts) -> float:
    """From scratch: Kaplan and others (2020), equation D.1. Else a power law through what LoRA is trained with at 7 billion parameters.

    Full fine-tuning wants a tenth of LoRA's (Schulman, "LoRA Without Regret", 2025), DPO a twentieth of either.
    """
    if facts.method == "scratch":
        return round(min(3e-3, max(1e-4, 0.003239 - 0.0001395 * math.log(max(facts.parameters, 1)))), 6)
    rate = 2e-4 * (LLAMA_7B / max(facts.parameters, 1)) ** 0.25
    rate = min(2e-3, max(5e-5, rate)) / (10 if facts.adaptation == "full" else 1)
    return float(f"{rate / (20 if facts.method == 'dpo' else 1):.3g}")


def _max_length(values: Mapping[str, Any], facts: Facts) -> int:
    most = min(facts.context_length, MAX_AUTO_LENGTH)
    if facts.longest is None or facts.method in ("text", "scratch"):
        return most
    return max(8, min(most, facts.longest))


def _split(values: Mapping[str, Any], facts: Facts) -> float:
    if facts.has_validation or (facts.examples < LEAST_TO_SPLIT and facts.method not in ("text", "scratch")):
        return 0.0
    return min(SPLIT, MAX_HELD_OUT / max(facts.examples, 1))


def _eval_every(values: Mapping[str, Any], facts: Facts) -> int:
    """Twenty times in all, if there are as many steps."""
    so_far = Hyper(**values)
    return max(1, round(steps_of(so_far, facts) / 20))


# In this order: what comes later looks at what came before.
_AUTO: Final[dict[str, Callable[[Mapping[str, Any], Facts], Any]]] = {
    "epochs": _epochs,
    "max_length": _max_length,
    "packing": lambda values, facts: facts.method in ("text", "scratch"),
    "batch_size": _batch_size,
    "accumulation": lambda values, facts: 1,
    "learning_rate": _learning_rate,
    "warmup": lambda values, facts: 0.1 if facts.method == "dpo" else 0.03,
    "weight_decay": lambda values, facts: 0.1 if facts.method == "scratch" else 0.0,
    "alpha": lambda values, facts: 2.0 * values.get("rank", Hyper().rank),
    "split": _split,
    "eval_every": _eval_every,
}
