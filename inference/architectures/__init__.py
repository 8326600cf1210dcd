"""The model families that are served: what their ``config.json`` may say, and which weights follow from it.

Standard library only. ``MODEL_TYPES`` is the list that counts: what is in it passes the checks, and the engine serves it.
"""

from __future__ import annotations

from typing import Any, Final

from inference.architectures.bert import read_bert
from inference.architectures.config import Architecture, ConfigError, Shapes, check_every_config, check_token_ids
from inference.architectures.gpt2 import read_gpt2
from inference.architectures.gpt_neox import read_gpt_neox
from inference.architectures.llama import read_llama

__all__ = [
    "ENCODERS", "MODEL_TYPES", "Architecture", "ConfigError", "Shapes", "check_token_ids", "read_architecture",
]  # fmt: skip

# The head's class -> `model_type`, as transformers writes both.
MODEL_TYPES: Final = {
    "GPT2LMHeadModel": "gpt2",
    "GPTNeoXForCausalLM": "gpt_neox",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3_text",
    "BertForMaskedLM": "bert",
    "BertModel": "bert",
}
ENCODERS: Final = ("BertForMaskedLM", "BertModel")  # they read a text as a whole, and generate none
_READERS: Final = {"gpt2": read_gpt2, "gpt_neox": read_gpt_neox, "bert": read_bert}  # the others are built like Llama


def read_architecture(config: Any) -> Architecture:
    """Validates a parsed ``config.json``. Raises :class:`ConfigError`."""
    if not isinstance(config, dict):
        raise ConfigError("config.json is not a JSON object; save it again with `save_pretrained`")
    names = config.get("architectures")
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str) or names[0] not in MODEL_TYPES:
        known = " or ".join(MODEL_TYPES)
        raise ConfigError(
            f"`architectures` must be one of {known}, and is {str(names)[:100]}; save the model with its head"
        )
    name: str = names[0]
    if config.get("model_type") != MODEL_TYPES[name]:
        raise ConfigError(f"`model_type` must be {MODEL_TYPES[name]!r} for {name}")
    made = _READERS.get(MODEL_TYPES[name], read_llama)(config, name)
    check_every_config(config, made.vocab_size)
    return made
