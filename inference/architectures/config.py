"""What every ``config.json`` is asked: whole numbers in bounds, flags, names of known things. Standard library only."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final

MAX_VOCAB: Final = 2_000_000
MAX_WIDTH: Final = 65_536
MAX_INNER: Final = 524_288
MAX_LAYERS: Final = 512
MAX_HEADS: Final = 1_024
MAX_LABELS: Final = 10_000  # transformers makes a name for each
MAX_CONTEXT: Final = 16_777_216  # tokens
# Keys that make transformers run code, or load weights, that are not in the release.
CODE_KEYS: Final = (
    "auto_map", "custom_pipelines", "quantization_config", "compression_config", "attn_implementation", "_attn_implementation",
    "experts_implementation", "_experts_implementation", "use_kernels",
)  # fmt: skip
# Keys that make another model of it, which is not served.
SWITCHES: Final = (
    "is_encoder_decoder", "is_decoder", "add_cross_attention", "pruned_heads", "chunk_size_feed_forward",
    "use_bidirectional_attention",
)  # fmt: skip
DTYPES: Final = ("float32", "float16", "bfloat16")
ACTIVATIONS: Final = (
    "gelu", "gelu_10", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "gelu_accurate", "leaky_relu", "mish",
    "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu", "swish", "tanh",
)  # fmt: skip

Shapes = dict[str, tuple[int, ...]]


class ConfigError(ValueError):
    """A config that is not served. The message is a sentence without a full stop and says how to mend it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """A validated ``config.json``. ``shapes`` are the weights that a release must hold, by transformers' own names."""

    name: str
    task: str  # the Hub's pipeline tag
    vocab_size: int
    context_length: int  # tokens
    shapes: Shapes
    prefix: str  # of the bare model's weights within the whole, "transformer."; saves of the bare model lack it
    sliding_window: int | None = None  # tokens that some layer looks back at most
    optional: Shapes  # weights that a save may repeat (a tied head), and their shapes
    leftovers: re.Pattern[str]  # names of older saves that transformers passes over

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())

    def rename(self, names: list[str]) -> dict[str, str]:
        """Names as a save has them -> names as ``shapes`` has them: older saves lack the prefix, or call norms gamma and beta."""
        known = self.shapes | self.optional
        is_bare = not any(name.startswith(self.prefix) for name in names)
        return {name: self._renamed(name, known, is_bare) for name in names}

    def _renamed(self, name: str, known: Shapes, is_bare: bool) -> str:
        name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name))
        if name in known:
            return name
        if is_bare and f"{self.prefix}{name}" in known:
            return f"{self.prefix}{name}"
        short = name.removeprefix(self.prefix)
        return short if short in known else name


def size(config: dict[str, Any], key: str, limit: int, default: int | None = None) -> int:
    """A whole number from 1 to ``limit``. Raises :class:`ConfigError`."""
    value = config.get(key)
    value = default if value is None else value
    if type(value) is not int or not 0 < value <= limit:
        raise ConfigError(f"`{key}` must be a whole number from 1 to {limit}, and is {str(value)[:40]}")
    return value


def number(config: dict[str, Any], key: str, *, low: float, high: float, default: float) -> float:
    """A number within bounds, both included. Raises :class:`ConfigError`."""
    value = config.get(key)
    value = default if value is None else value
    if type(value) not in (int, float) or not low <= value <= high:
        raise ConfigError(f"`{key}` must be a number from {low:g} to {high:g}, and is {str(value)[:40]}")
    return float(value)


def flag(config: dict[str, Any], key: str, *, default: bool) -> bool:
    """True or false. Raises :class:`ConfigError`."""
    value = config.get(key)
    value = default if value is None else value
    if type(value) is not bool:
        raise ConfigError(f"`{key}` must be true or false, and is {str(value)[:40]}")
    return value


def check_activation(config: dict[str, Any], key: str) -> None:
    """Raises :class:`ConfigError`."""
    value = config.get(key)
    if value is not None and value not in ACTIVATIONS:
        raise ConfigError(f"`{key}` is {str(value)[:40]!r}; known are {', '.join(ACTIVATIONS)}")


def check_every_config(config: dict[str, Any], vocab_size: int) -> None:
    """What holds for every family; ``vocab_size`` in tokens. Raises :class:`ConfigError`."""
    for key in CODE_KEYS:
        if config.get(key):
            raise ConfigError(f"config.json has `{key}`, which needs code or formats that are not run here; remove it")
    for key in SWITCHES:
        if config.get(key):
            raise ConfigError(f"config.json has `{key}`, which is not served; remove it if the model works without")
    if config.get("return_dict") is False:
        raise ConfigError("config.json has `return_dict` false, which is not served; remove it")
    for key in ("dtype", "torch_dtype"):
        value = config.get(key)
        if value is not None and (not isinstance(value, str) or value.removeprefix("torch.") not in DTYPES):
            raise ConfigError(f"`{key}` is {str(value)[:40]!r}; served are {', '.join(DTYPES)}")
    size(config, "num_labels", MAX_LABELS, 2)
    for key in ("eos_token_id", "bos_token_id", "pad_token_id"):
        check_token_ids(config, key, vocab_size)


def check_token_ids(config: dict[str, Any], key: str, vocab_size: int) -> None:
    """An id within the vocabulary, a list of some, or nothing (older saves write -1). Raises :class:`ConfigError`."""
    value = config.get(key)
    ids = value if isinstance(value, list) and key == "eos_token_id" else [value]
    if len(ids) > 1_000 or any(i is not None and (type(i) is not int or not -1 <= i < vocab_size) for i in ids):
        raise ConfigError(f"`{key}` is {str(value)[:40]}, and the model knows the tokens 0 to {vocab_size - 1}")
