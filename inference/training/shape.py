"""The config of a model that is made from nothing. Standard library only."""

from __future__ import annotations

from typing import Any, Final

from inference.architectures import Architecture, read_architecture
from inference.wire import ScratchConfig

INNER: Final = {"gpt2": 4.0, "llama": 8 / 3}  # width of the perceptron, in widths of the model
INNER_MULTIPLE: Final = 8  # of Llama's, rounded up


def config_of(shape: ScratchConfig, *, begin_id: int, end_id: int) -> dict[str, Any]:
    """What its ``config.json`` says; ``begin_id`` and ``end_id`` are tokens of its tokenizer."""
    tokens = {"bos_token_id": begin_id, "eos_token_id": end_id, "pad_token_id": end_id, "vocab_size": shape.vocab_size}
    if shape.architecture == "gpt2":
        return tokens | {
            "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": shape.layers, "n_embd": shape.width,
            "n_head": shape.heads, "n_positions": shape.context_length, "tie_word_embeddings": True,
        }  # fmt: skip
    inner = -(-int(shape.width * INNER["llama"]) // INNER_MULTIPLE) * INNER_MULTIPLE
    return tokens | {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": shape.layers,
        "hidden_size": shape.width, "intermediate_size": inner, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "max_position_embeddings": shape.context_length, "tie_word_embeddings": True,
    }  # fmt: skip


def architecture_of_shape(shape: ScratchConfig) -> Architecture:
    """What the store makes of it. Raises :class:`inference.architectures.ConfigError`."""
    return read_architecture(config_of(shape, begin_id=0, end_id=1))
