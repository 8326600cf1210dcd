"""Llama and the families that are built like it: Mistral, Qwen2, Qwen3, Gemma 1 to 3 (text). Standard library only.

They differ in defaults, in which matrices have a bias, and in norms; :class:`Family` says how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from inference.architectures.config import (
    MAX_CONTEXT,
    MAX_HEADS,
    MAX_INNER,
    MAX_LAYERS,
    MAX_VOCAB,
    MAX_WIDTH,
    Architecture,
    ConfigError,
    Shapes,
    check_activation,
    flag,
    number,
    size,
)
from inference.architectures.rope import LAYER_TYPES, check_rope

LEFTOVERS: Final = re.compile(r"(model\.)?(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")
NORMS: Final = ("input_layernorm", "post_attention_layernorm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """What sets a family apart: transformers' defaults, and its weights besides the matrices."""

    vocab: int
    width: int = 4096
    layers: int = 32
    heads: int = 32
    kv_heads: int | None = None  # None: as many as heads
    inner: int
    context: int
    head: int | None = None  # None: width / heads
    is_tied: bool = False
    activation: str = "hidden_act"  # its key
    norms: tuple[str, ...] = NORMS
    has_head_norms: bool = False  # q_norm and k_norm
    biased: tuple[str, ...] = ()  # matrices with a bias, whatever the config says
    may_have_bias: bool = True  # `attention_bias` is heard
    has_mlp_bias: bool = False  # `mlp_bias` is heard
    window: int | None = None  # `sliding_window` is heard, with this default
    has_window_switch: bool = False  # and only where `use_sliding_window` is true


GEMMA2_NORMS: Final = (*NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")
FAMILIES: Final = {
    "LlamaForCausalLM": Family(vocab=32000, inner=11008, context=2048, has_mlp_bias=True),
    "MistralForCausalLM": Family(
        vocab=32000, inner=14336, context=131_072, kv_heads=8, may_have_bias=False, window=4096
    ),
    "Qwen2ForCausalLM": Family(
        vocab=151_936, inner=22016, context=32_768, kv_heads=32, biased=("q_proj", "k_proj", "v_proj"),
        may_have_bias=False, window=4096, has_window_switch=True,
    ),
    "Qwen3ForCausalLM": Family(
        vocab=151_936, inner=22016, context=32_768, kv_heads=32, head=128, has_head_norms=True, window=4096,
        has_window_switch=True,
    ),
    "GemmaForCausalLM": Family(
        vocab=256_000, width=3072, layers=28, heads=16, kv_heads=16, inner=24576, context=8192, head=256, is_tied=True
    ),
    "Gemma2ForCausalLM": Family(
        vocab=256_000, width=2304, layers=26, heads=8, kv_heads=4, inner=9216, context=8192, head=256, is_tied=True,
        activation="hidden_activation", norms=GEMMA2_NORMS, window=4096,
    ),
    "Gemma3ForCausalLM": Family(
        vocab=262_208, width=2304, layers=26, heads=8, kv_heads=4, inner=9216, context=131_072, head=256, is_tied=True,
        activation="hidden_activation", norms=GEMMA2_NORMS, has_head_norms=True, window=4096,
    ),
}  # fmt: skip


def read_llama(config: dict[str, Any], name: str) -> Architecture:
    """Raises :class:`ConfigError`."""
    family = FAMILIES[name]
    vocab = size(config, "vocab_size", MAX_VOCAB, family.vocab)
    width = size(config, "hidden_size", MAX_WIDTH, family.width)
    layers = size(config, "num_hidden_layers", MAX_LAYERS, family.layers)
    context = size(config, "max_position_embeddings", MAX_CONTEXT, family.context)
    _check_numbers(config, family)
    shapes: Shapes = {"model.embed_tokens.weight": (vocab, width)}
    rows = dict(_layer(config, family, width=width))
    for layer in range(layers):
        shapes.update((f"model.layers.{layer}.{key}", shape) for key, shape in rows.items())
    shapes["model.norm.weight"] = (width,)
    output: Shapes = {"lm_head.weight": (vocab, width)}
    is_tied = flag(config, "tie_word_embeddings", default=family.is_tied)
    return Architecture(
        name=name,
        task="text-generation",
        vocab_size=vocab,
        context_length=context,
        shapes=shapes if is_tied else shapes | output,
        prefix="model.",
        sliding_window=_window(config, family, layers),
        optional=output,
        leftovers=LEFTOVERS,
    )


def _check_numbers(config: dict[str, Any], family: Family) -> None:
    check_rope(config)
    check_activation(config, family.activation)
    number(config, "rms_norm_eps", low=1e-20, high=0.1, default=1e-6)
    number(config, "query_pre_attn_scalar", low=1e-3, high=1e6, default=256)
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        number(config, key, low=1e-3, high=1e6, default=30)


def _window(config: dict[str, Any], family: Family, layers: int) -> int | None:
    """Tokens that the layers with a sliding window look back; None where none has one."""
    types = config.get("layer_types")
    if types is not None and (
        not isinstance(types, list) or len(types) != layers or any(kind not in LAYER_TYPES for kind in types)
    ):
        raise ConfigError(f"`layer_types` must name one of {' or '.join(LAYER_TYPES)} for each of {layers} layers")
    if family.window is None:
        return None
    size(config, "sliding_window_pattern", MAX_LAYERS, 6)
    number(config, "max_window_layers", low=0, high=MAX_CONTEXT, default=28)
    window = size(config, "sliding_window", MAX_CONTEXT, family.window)
    if family.has_window_switch:
        return window if flag(config, "use_sliding_window", default=False) else None
    return None if "sliding_window" in config and config["sliding_window"] is None else window


def _layer(config: dict[str, Any], family: Family, *, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    heads = size(config, "num_attention_heads", MAX_HEADS, family.heads)
    kv_heads = size(config, "num_key_value_heads", MAX_HEADS, min(family.kv_heads or heads, heads))
    head = size(config, "head_dim", MAX_WIDTH, family.head or max(1, width // heads))
    inner = size(config, "intermediate_size", MAX_INNER, family.inner)
    if heads % kv_heads:
        raise ConfigError(f"`num_attention_heads` {heads} is not a multiple of `num_key_value_heads` {kv_heads}")
    if head % 2:
        raise ConfigError(f"the width of a head is {head}; rotary positions need an even one")
    query, key = heads * head, kv_heads * head
    for norm in family.norms:
        yield f"{norm}.weight", (width,)
    if family.has_head_norms:
        yield "self_attn.q_norm.weight", (head,)
        yield "self_attn.k_norm.weight", (head,)
    attention = {"q_proj": (query, width), "k_proj": (key, width), "v_proj": (key, width), "o_proj": (width, query)}
    all_biased = family.may_have_bias and flag(config, "attention_bias", default=False)
    for name, shape in attention.items():
        yield f"self_attn.{name}.weight", shape
        if all_biased or name in family.biased:
            yield f"self_attn.{name}.bias", shape[:1]
    mlp = {"gate_proj": (inner, width), "up_proj": (inner, width), "down_proj": (width, inner)}
    mlp_biased = family.has_mlp_bias and flag(config, "mlp_bias", default=False)
    for name, shape in mlp.items():
        yield f"mlp.{name}.weight", shape
        if mlp_biased:
            yield f"mlp.{name}.bias", shape[:1]
