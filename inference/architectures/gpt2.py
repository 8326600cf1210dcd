"""GPT-2. Standard library only."""

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

# The causal mask and its filler were saved with the weights once.
LEFTOVERS: Final = re.compile(r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)")


def read_gpt2(config: dict[str, Any], name: str) -> Architecture:
    """Raises :class:`ConfigError`."""
    vocab, width = size(config, "vocab_size", MAX_VOCAB, 50257), size(config, "n_embd", MAX_WIDTH, 768)
    layers, heads = size(config, "n_layer", MAX_LAYERS, 12), size(config, "n_head", MAX_HEADS, 12)
    context = size(config, "n_positions", MAX_CONTEXT, 1024)
    inner = size(config, "n_inner", MAX_INNER, 4 * width)
    if width % heads:
        raise ConfigError(f"`n_embd` {width} is not a multiple of `n_head` {heads}")
    check_activation(config, "activation_function")
    number(config, "layer_norm_epsilon", low=1e-20, high=0.1, default=1e-5)
    for key in ("scale_attn_weights", "scale_attn_by_inverse_layer_idx"):
        flag(config, key, default=False)
    shapes: Shapes = {"transformer.wte.weight": (vocab, width), "transformer.wpe.weight": (context, width)}
    for layer in range(layers):
        shapes.update((f"transformer.h.{layer}.{name}", shape) for name, shape in _layer(width, inner))
    shapes |= {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}
    head: Shapes = {"lm_head.weight": (vocab, width)}
    is_tied = flag(config, "tie_word_embeddings", default=True)
    return Architecture(
        name=name,
        task="text-generation",
        vocab_size=vocab,
        context_length=context,
        shapes=shapes if is_tied else shapes | head,
        prefix="transformer.",
        optional=head,
        leftovers=LEFTOVERS,
    )


def _layer(width: int, inner: int) -> Iterator[tuple[str, tuple[int, ...]]]:
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
