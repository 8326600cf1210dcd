"""BERT, with its head for masked words or without. Standard library only."""

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

# Counts of positions, and the heads of other tasks: the original BERT was saved with both of its heads.
LEFTOVERS: Final = re.compile(r"(bert\.)?embeddings\.position_ids|cls\.seq_relationship\..*|bert\.pooler\..*")
HEADS: Final = re.compile(r"(bert\.)?embeddings\.position_ids|cls\..*")


def read_bert(config: dict[str, Any], name: str) -> Architecture:
    """Raises :class:`ConfigError`."""
    vocab, width = size(config, "vocab_size", MAX_VOCAB, 30522), size(config, "hidden_size", MAX_WIDTH, 768)
    heads = size(config, "num_attention_heads", MAX_HEADS, 12)
    context = size(config, "max_position_embeddings", MAX_CONTEXT, 512)
    if width % heads:
        raise ConfigError(f"`hidden_size` {width} is not a multiple of `num_attention_heads` {heads}")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ConfigError("`position_embedding_type` must be absolute; others are not served")
    check_activation(config, "hidden_act")
    number(config, "layer_norm_eps", low=1e-20, high=0.1, default=1e-12)
    bare = dict(_bare(config, vocab=vocab, width=width, context=context))
    decoder: Shapes = {"cls.predictions.decoder.weight": (vocab, width)}
    if name == "BertModel":
        shapes = bare
        optional: Shapes = dict(_dense("pooler.dense", width, width))  # a text's vector is the mean of its tokens'
    else:
        shapes = {f"bert.{key}": shape for key, shape in bare.items()} | dict(_predictions(vocab, width))
        shapes |= {} if flag(config, "tie_word_embeddings", default=True) else decoder
        optional = decoder | {"cls.predictions.decoder.bias": (vocab,)}
    return Architecture(
        name=name,
        task="feature-extraction" if name == "BertModel" else "fill-mask",
        vocab_size=vocab,
        context_length=context,
        shapes=shapes,
        prefix="bert.",
        optional=optional,
        leftovers=HEADS if name == "BertModel" else LEFTOVERS,
    )


def _bare(config: dict[str, Any], *, vocab: int, width: int, context: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    inner = size(config, "intermediate_size", MAX_INNER, 3072)
    yield "embeddings.word_embeddings.weight", (vocab, width)
    yield "embeddings.position_embeddings.weight", (context, width)
    yield "embeddings.token_type_embeddings.weight", (size(config, "type_vocab_size", 1_000, 2), width)
    yield from _norm("embeddings.LayerNorm", width)
    for layer in range(size(config, "num_hidden_layers", MAX_LAYERS, 12)):
        name = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from _dense(f"{name}.attention.self.{part}", width, width)
        yield from _dense(f"{name}.attention.output.dense", width, width)
        yield from _norm(f"{name}.attention.output.LayerNorm", width)
        yield from _dense(f"{name}.intermediate.dense", inner, width)
        yield from _dense(f"{name}.output.dense", width, inner)
        yield from _norm(f"{name}.output.LayerNorm", width)


def _predictions(vocab: int, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "cls.predictions.bias", (vocab,)
    yield from _dense("cls.predictions.transform.dense", width, width)
    yield from _norm("cls.predictions.transform.LayerNorm", width)


def _dense(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)
