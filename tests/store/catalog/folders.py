"""A release on disk that is tiny and complete: a GPT-2 of one layer whose weights are noise, written without torch."""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from inference.architectures import read_architecture

VOCAB = 300
CONFIG: dict[str, Any] = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": VOCAB, "n_positions": 64, "n_embd": 8, "n_layer": 1,
    "n_head": 2, "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
CARD = """---
license: apache-2.0
summary: Noise, on purpose.
tags: [test, tiny]
---
# Tiny

It *says* nothing.
"""


def write_folder(folder: Path, *, seed: int = 0, card: str = CARD) -> Path:
    """``seed`` decides the weights, so another seed is another release."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(_weights(seed))
    (folder / "README.md").write_text(card)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["to be or not to be"], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": "<|end|>", "tokenizer_class": "PreTrainedTokenizerFast"})
    )
    return folder


def _weights(seed: int) -> bytes:
    header, at = {}, 0
    for name, shape in read_architecture(CONFIG).shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    noise = random.Random(seed)
    return (
        struct.pack("<Q", len(text)) + text + b"".join(struct.pack("<f", noise.gauss(0, 0.2)) for _ in range(at // 4))
    )
