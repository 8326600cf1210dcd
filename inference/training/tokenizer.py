"""The tokenizer of a model that is made from nothing: a byte-level BPE, trained on its data. Needs tokenizers, not torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from inference.training.data import TRAINING_TEMPLATE, read_records
from inference.training.task import DataFile

BEGIN: Final = "<|endoftext|>"
END: Final = "<|end|>"
READ_CHARS: Final = 200_000_000  # of the data: a vocabulary is settled long before


def train_tokenizer(data: DataFile, *, vocab_size: int, context_length: int, folder: Path) -> int:
    """Writes ``tokenizer.json`` and its config; returns how many tokens there are, which is less than asked where the data is little.

    Raises :class:`inference.training.data.BadData` and :class:`OSError`.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(data), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BEGIN, "eos_token": END, "pad_token": END,
        "model_max_length": context_length, "clean_up_tokenization_spaces": False, "chat_template": TRAINING_TEMPLATE,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return int(tokenizer.get_vocab_size())


def _texts(data: DataFile) -> Iterator[str]:
    read = 0
    for record in read_records(data.path, filename=data.filename, format=data.format, mapping=data.mapping):
        for text in _strings(record.fields):
            yield text
            read += len(text)
        if read > READ_CHARS:
            return


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
