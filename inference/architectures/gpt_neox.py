"""GPT-NeoX (Pythia). Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
from inference.architectures.rope import check_rope

LEFTOVERS: Final = re.compile(r"(gpt_neox\.)?layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)")


def read_gpt_neox(config: dict[str, Any], name: str) -> Architecture:
    """Raises :class:`ConfigError`."""
    vocab, width = size(config, "vocab_size", MAX_VOCAB, 50432), size(config, "hidden_size", MAX_WIDTH, 6144)
    layers = size(config, "num_hidden_layers", MAX_LAYERS, 44)
    heads = size(config, "num_attention_heads", MAX_HEADS, 64)
    inner = size(config, "intermediate_size", MAX_INNER, 24576)
    context = size(config, "max_position_embeddings", MAX_CONTEXT, 2048)
    if width % heads:
        raise ConfigError(f"`hidden_size` {width} is not a multiple of `num_attention_heads` {heads}")
    check_activation(config, "hidden_act")
    number(config, "layer_norm_eps", low=1e-20, high=0.1, default=1e-5)
    flag(config, "use_parallel_residual", default=True)
    _check_rotary_width(config, width // heads)
    bias = flag(config, "attention_bias", default=True)
    shapes: Shapes = {"gpt_neox.embed_in.weight": (vocab, width)}
    for layer in range(layers):
        rows = _layer(width=width, inner=inner, bias=bias)
        shapes.update((f"gpt_neox.layers.{layer}.{key}", shape) for key, shape in rows)
    shapes |= {"gpt_neox.final_layer_norm.weight": (width,), "gpt_neox.final_layer_norm.bias": (width,)}
    head: Shapes = {"embed_out.weight": (vocab, width)}
    is_tied = flag(config, "tie_word_embeddings", default=False)
    return Architecture(
        name=name,
        task="text-generation",
        vocab_size=vocab,
        context_length=context,
        shapes=shapes if is_tied else shapes | head,
        prefix="gpt_neox.",
        optional=head,
        leftovers=LEFTOVERS,
    )


def _check_rotary_width(config: dict[str, Any], head: int) -> None:
    check_rope(config, is_partial=True)
    number(config, "rotary_emb_base", low=1, high=1e12, default=10_000)
    share = number(config, "rotary_pct", low=1e-3, high=1, default=0.25)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    turned = int(head * number(rope, "partial_rotary_factor", low=1e-3, high=1, default=share))
    if turned < 2 or turned % 2:
        raise ConfigError(f"rotary positions turn {turned} of the {head} numbers of a head; it must be an even number")


def _layer(*, width: int, inner: int, bias: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    for norm in ("input_layernorm", "post_attention_layernorm"):
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)
    matrices = {
        "attention.query_key_value": (3 * width, width),
        "attention.dense": (width, width),
        "mlp.dense_h_to_4h": (inner, width),
        "mlp.dense_4h_to_h": (width, inner),
    }
    for name, shape in matrices.items():
        yield f"{name}.weight", shape
        if bias or name.startswith("mlp."):
            yield f"{name}.bias", shape[:1]
