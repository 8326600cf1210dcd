"""The model families that are served: what their ``config.json`` may say, and which weights follow from it. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MODEL_TYPES: Final = {"GPT2LMHeadModel": "gpt2", "LlamaForCausalLM": "llama"}
# Keys that make transformers run code, or load weights, that are not in the release.
REFUSED_KEYS: Final = ("auto_map", "custom_pipelines", "quantization_config", "compression_config")
MAX_VOCAB: Final = 2_000_000
MAX_WIDTH: Final = 65_536
MAX_INNER: Final = 524_288
MAX_LAYERS: Final = 512
MAX_HEADS: Final = 1_024
MAX_LABELS: Final = 10_000  # transformers makes a name for each
# Rotary positions that are a function of the position alone. "dynamic" and "longrope" change with the longest in the batch.
ROPE_TYPES: Final = ("default", "linear", "llama3", "yarn")
MAX_CONTEXT: Final = 16_777_216  # tokens

Shapes = dict[str, tuple[int, ...]]


class ConfigError(ValueError):
    """A config that is not served. The message is a sentence without a full stop and says how to mend it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """A validated ``config.json``. ``shapes`` are the weights that a release must hold, by transformers' own names."""

    name: str
    vocab_size: int
    context_length: int  # tokens
    shapes: Shapes

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_architecture(config: Any) -> Architecture:
    """Validates a parsed ``config.json``. Raises :class:`ConfigError`."""
    if not isinstance(config, dict):
        raise ConfigError("config.json is not a JSON object; save it again with `save_pretrained`")
    for key in REFUSED_KEYS:
        if config.get(key):
            raise ConfigError(f"config.json has `{key}`, which needs code or formats that are not run here; remove it")
    names = config.get("architectures")
    if not isinstance(names, list) or len(names) != 1 or names[0] not in MODEL_TYPES:
        known = " or ".join(MODEL_TYPES)
        raise ConfigError(
            f"`architectures` must be one of {known}, and is {str(names)[:100]}; save the model with its head"
        )
    name: str = names[0]
    if config.get("model_type") != MODEL_TYPES[name]:
        raise ConfigError(f"`model_type` must be {MODEL_TYPES[name]!r} for {name}")
    _size(config, "num_labels", MAX_LABELS, 2)
    return _gpt2(config) if name == "GPT2LMHeadModel" else _llama(config)


def _size(config: dict[str, Any], key: str, limit: int, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if type(value) is not int or not 0 < value <= limit:
        raise ConfigError(f"`{key}` must be a whole number from 1 to {limit}, and is {str(value)[:40]}")
    return value


def _gpt2(config: dict[str, Any]) -> Architecture:
    vocab, width = _size(config, "vocab_size", MAX_VOCAB, 50257), _size(config, "n_embd", MAX_WIDTH, 768)
    layers, heads = _size(config, "n_layer", MAX_LAYERS, 12), _size(config, "n_head", MAX_HEADS, 12)
    context = _size(config, "n_positions", MAX_CONTEXT, 1024)
    inner = _size(config, "n_inner", MAX_INNER, 4 * width)
    if width % heads:
        raise ConfigError(f"`n_embd` {width} is not a multiple of `n_head` {heads}")
    if config.get("add_cross_attention"):
        raise ConfigError("`add_cross_attention` is for encoder-decoders; set it to false")
    shapes: Shapes = {"transformer.wte.weight": (vocab, width), "transformer.wpe.weight": (context, width)}
    for layer in range(layers):
        shapes.update((f"transformer.h.{layer}.{name}", shape) for name, shape in _gpt2_layer(width, inner))
    shapes |= {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}
    if config.get("tie_word_embeddings", True) is False:
        shapes["lm_head.weight"] = (vocab, width)
    return Architecture(name="GPT2LMHeadModel", vocab_size=vocab, context_length=context, shapes=shapes)


def _gpt2_layer(width: int, inner: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for norm in ("ln_1", "ln_2"):
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)
    # GPT-2 keeps its matrices as (in, out), the other way round than nn.Linear.
    matrices = {
        "attn.c_attn": (width, 3 * width),
        "attn.c_proj": (width, width),
        "mlp.c_fc": (width, inner),
        "mlp.c_proj": (inner, width),
    }
    for name, shape in matrices.items():
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[1:]


def _llama(config: dict[str, Any]) -> Architecture:
    vocab, width = _size(config, "vocab_size", MAX_VOCAB, 32000), _size(config, "hidden_size", MAX_WIDTH, 4096)
    layers, heads = (
        _size(config, "num_hidden_layers", MAX_LAYERS, 32),
        _size(config, "num_attention_heads", MAX_HEADS, 32),
    )
    kv_heads = _size(config, "num_key_value_heads", MAX_HEADS, heads)
    context = _size(config, "max_position_embeddings", MAX_CONTEXT, 2048)
    inner = _size(config, "intermediate_size", MAX_INNER, 11008)
    if heads % kv_heads:
        raise ConfigError(f"`num_attention_heads` {heads} is not a multiple of `num_key_value_heads` {kv_heads}")
    head = _size(config, "head_dim", MAX_WIDTH, max(1, width // heads))
    _check_rope(config)
    if head % 2:
        raise ConfigError(f"the width of a head is {head}; rotary positions need an even one")
    shapes: Shapes = {"model.embed_tokens.weight": (vocab, width)}
    for layer in range(layers):
        rows = _llama_layer(config, width=width, inner=inner, query=heads * head, key=kv_heads * head)
        shapes.update((f"model.layers.{layer}.{name}", shape) for name, shape in rows)
    shapes["model.norm.weight"] = (width,)
    if not config.get("tie_word_embeddings", False):
        shapes["lm_head.weight"] = (vocab, width)
    return Architecture(name="LlamaForCausalLM", vocab_size=vocab, context_length=context, shapes=shapes)


def _check_rope(config: dict[str, Any]) -> None:
    for key in ("rope_parameters", "rope_scaling"):
        rope = config.get(key) or {}
        if not isinstance(rope, dict):
            raise ConfigError(f"`{key}` is not a JSON object")
        kind = rope.get("rope_type") or rope.get("type") or "default"
        if kind not in ROPE_TYPES:
            raise ConfigError(f"`{key}` has the type {str(kind)[:40]!r}; served are {', '.join(ROPE_TYPES)}")


def _llama_layer(
    config: dict[str, Any], *, width: int, inner: int, query: int, key: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "input_layernorm.weight", (width,)
    yield "post_attention_layernorm.weight", (width,)
    attention = {"q_proj": (query, width), "k_proj": (key, width), "v_proj": (key, width), "o_proj": (width, query)}
    mlp = {"gate_proj": (inner, width), "up_proj": (inner, width), "down_proj": (width, inner)}
    for block, matrices, bias in (("self_attn", attention, "attention_bias"), ("mlp", mlp, "mlp_bias")):
        for name, shape in matrices.items():
            yield f"{block}.{name}.weight", shape
            if config.get(bias):
                yield f"{block}.{name}.bias", shape[:1]
