"""Two tiny random models, a GPT-2 and a Llama with grouped heads, over one small tokenizer that was trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from inference.engine import Engine

BEGIN, END, START = "<|begin|>", "<|end|>", "<|start|>"
CONTEXT = 128  # tokens
VOCAB = 400
TEXT = [
    "The quick brown fox jumps over the lazy dog. Übergrößen für Ärzte, naïve café.",
    "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer 🙂🚀.",
    "user assistant system content role message 你好 世界 мир привет",
]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start|>{{ message['role'] }}\n{{ message['content'] | trim }}{{ eos_token }}\n"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def train_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[BEGIN, END, START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT * 20, trainer)
    return tokenizer


def write_tokenizer(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    train_tokenizer().save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": END,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def tiny_model(family: str) -> PreTrainedModel:
    """Random weights, large enough that the likeliest token is never a near tie and the outputs vary."""
    torch.manual_seed(7)
    tokens: dict[str, Any] = {
        "vocab_size": VOCAB,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
        "initializer_range": 0.4,
    }
    if family == "gpt2":
        return GPT2LMHeadModel(GPT2Config(n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4, **tokens)).eval()
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return LlamaForCausalLM(LlamaConfig(max_position_embeddings=CONTEXT, **shape, **tokens)).eval()


@pytest.fixture(scope="session", params=["gpt2", "llama"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A release of each family on disk."""
    made = {}
    for family in ("gpt2", "llama"):
        made[family] = tmp_path_factory.mktemp(family)
        tiny_model(family).save_pretrained(made[family])
        write_tokenizer(made[family])
    return made


@pytest.fixture(scope="session")
def folder(folders: dict[str, Path], family: str) -> Path:
    return folders[family]


@pytest.fixture(scope="session")
def gpt2_folder(folders: dict[str, Path]) -> Path:
    return folders["gpt2"]


@pytest.fixture(scope="session")
def models_by_family() -> dict[str, PreTrainedModel]:
    return {family: tiny_model(family) for family in ("gpt2", "llama")}


@pytest.fixture(scope="session")
def model(models_by_family: dict[str, PreTrainedModel], family: str) -> PreTrainedModel:
    return models_by_family[family]


@pytest.fixture
def engine(folder: Path) -> Engine:
    return Engine.load(folder, max_batch=4, max_step_tokens=24)
