"""Releases that everybody should be able to publish: every family, old saves and new, adapters, and what lies beside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from tests.releases.folders import BASE_DIGEST, PNG, edit, put
from tests.tiny_families import (
    GENERATORS,
    SHAPE,
    TOKENS,
    VOCAB,
    tiny_model,
    write_adapter,
    write_family,
    write_tokenizer,
)

CARD = """\ufeff---
license: other
license_name: bard-1.0
license_link: https://example.com/licence
language: [en, zh, no]
tags: [verse, gpt]
pipeline_tag: text-generation
base_model: [acme/tiny]
base_model_relation: finetune
model-index:
- name: Bard
  results:
  - task: {type: text-generation}
    metrics: [{type: perplexity, value: 12.5}]
---
# Bard 👩‍💻

![loss](assets/loss.png)
"""
CHAT = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"

Write = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Good:
    """A release and its family (a key of ``tests.tiny_families.FAMILIES``); of an adapter, the family of its base."""

    name: str
    write: Write
    family: str = "gpt2"
    is_adapter: bool = False


def family(name: str, *more: Write) -> Write:
    """A tiny model as save_pretrained writes it, and what is done to it then."""

    def write(folder: Path) -> None:
        write_family(folder, name)
        for step in more:
            step(folder)

    return write


def rename(change: Callable[[str], str], **extra: torch.Tensor) -> Write:
    """Other names for the weights, as older programs wrote them, and tensors that nobody needs any more."""

    def write(folder: Path) -> None:
        path = folder / "model.safetensors"
        tensors = {change(name): tensor for name, tensor in load_file(path).items()}
        save_file(tensors | extra, path)

    return write


def cast(name: str, dtype: torch.dtype) -> Write:
    def write(folder: Path) -> None:
        write_family(folder, name)
        model = tiny_model(name)
        for parameter in model.parameters():
            parameter.data = parameter.data.to(dtype)
        model.save_pretrained(folder)

    return write


def sharded(folder: Path) -> None:
    write_family(folder, "llama")
    (folder / "model.safetensors").unlink()
    tiny_model("llama").save_pretrained(folder, max_shard_size="40KB")


def tied_llama(folder: Path) -> None:
    write_family(folder, "llama")
    config = LlamaConfig(**SHAPE, num_key_value_heads=2, tie_word_embeddings=True, **TOKENS)
    LlamaForCausalLM(config).save_pretrained(folder)


def old_llama_config(folder: Path) -> None:
    """As transformers 4 wrote it: rope_theta and rope_scaling beside each other, torch_dtype, no head_dim."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for key in ("rope_parameters", "dtype", "head_dim"):
        config.pop(key)
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    path.write_text(json.dumps(config | {"rope_theta": 500000.0, "rope_scaling": scaling, "torch_dtype": "float32"}))


def adapter(name: str, **config: Any) -> Write:
    def write(folder: Path) -> None:
        base = folder.with_name(f"{folder.name}-base")
        write_adapter(folder, write_family(base, name), **config)
        edit("adapter_config.json", base_model_name_or_path="acme/tiny", revision=BASE_DIGEST)(folder)
        (folder / "README.md").write_text("---\nlicense: mit\n---\n# A voice\n")

    return write


def named_in_its_card(folder: Path) -> None:
    adapter("gpt2", target_modules=["c_attn"])(folder)
    edit("adapter_config.json", revision=None)(folder)
    (folder / "README.md").write_text(f"---\nlicense: mit\nbase_model_digest: {BASE_DIGEST}\n---\n")


def with_a_tokenizer(folder: Path) -> None:
    adapter("llama", target_modules="all-linear", use_rslora=True)(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).write_bytes((folder.with_name(f"{folder.name}-base") / file).read_bytes())
    put("chat_template.jinja", CHAT)(folder)


def chinese(folder: Path) -> None:
    """BERT's characters for a GPT-2, as most Chinese GPT-2s have them; its decoder puts spaces between them."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCAB, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    tokenizer.train_from_iterator(["你好，世界。今天天气很好！床前明月光，疑是地上霜。"] * 5, trainer)
    write_tokenizer(folder, tokenizer)


def unigram(folder: Path) -> None:
    """SentencePiece's kind: spaces are letters, and unknown ones are bytes."""
    tokens = [
        ("<unk>", 0.0),
        ("\u2581", -2.0),
        *((f"<0x{byte:02X}>", -9.0) for byte in range(256)),
        *((c, -4.0) for c in "abcdefghij"),
    ]
    tokenizer = Tokenizer(models.Unigram(tokens, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()])
    write_tokenizer(folder, tokenizer)


def beside(folder: Path) -> None:
    """Everything that may lie beside a model."""
    for name, content in {
        "README.md": CARD, "LICENSE": "Be kind.", "NOTICE.txt": "By Acme.", "held_out.txt": "To be or not to be. 你好",
        "plot.png": PNG, "assets/loss.png": PNG, "assets/x.webp": b"RIFF\0\0\0\0WEBP", ".gitattributes": "* -text",
        "generation_config.json": {"eos_token_id": [1], "temperature": 0.7, "top_p": 0.9, "max_length": 1e20},
        "special_tokens_map.json": {"eos_token": "<|end|>"}, "added_tokens.json": {},
    }.items():  # fmt: skip
        put(name, content)(folder)


LLAMA_BUFFERS = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.zeros(4) for i in range(2)}
GPT2_MASKS = {f"h.{i}.attn.bias": torch.ones(1, 1, 8, 8, dtype=torch.uint8) for i in range(2)}
NEOX_BUFFERS = {
    "gpt_neox.layers.0.attention.masked_bias": torch.zeros(()),
    "gpt_neox.layers.0.attention.bias": torch.ones(1, dtype=torch.bool),
}
BERT_LEFTOVERS = {
    "bert.embeddings.position_ids": torch.zeros(1, 128, dtype=torch.int64), "cls.seq_relationship.weight": torch.zeros(2, 32),
    "cls.seq_relationship.bias": torch.zeros(2), "bert.pooler.dense.weight": torch.zeros(32, 32), "bert.pooler.dense.bias": torch.zeros(32),
}  # fmt: skip
NAMED_TEMPLATES = [{"name": "default", "template": CHAT}, {"name": "rag", "template": "{{ documents }}"}]


def old_bert(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


CASES = [
    *(Good(f"{name}, as transformers saves it", family(name), name) for name in (*GENERATORS, "bert", "bert_bare")),
    Good("in many parts", sharded, "llama"),
    Good("a llama whose head is tied", tied_llama, "llama"),
    Good("float16", cast("gpt2", torch.float16)),
    Good("bfloat16", cast("qwen2", torch.bfloat16), "qwen2"),
    Good("a GPT-2 without prefix and with its masks", family("gpt2", rename(lambda n: n.removeprefix("transformer."), **GPT2_MASKS))),
    Good("a llama with frequencies saved", family("llama", rename(str, **LLAMA_BUFFERS)), "llama"),
    Good("a llama with the config of transformers 4", family("llama", old_llama_config), "llama"),
    Good("a NeoX with masks saved", family("gpt_neox", rename(str, **NEOX_BUFFERS)), "gpt_neox"),
    Good("a BERT with gamma, beta and both heads", family("bert", rename(old_bert, **BERT_LEFTOVERS)), "bert"),
    Good("a bare BERT with its prefix", family("bert_bare", rename(lambda n: f"bert.{n}")), "bert_bare"),
    Good("with images, a licence of its own and a held-out text", family("gpt2", beside)),
    Good("with a chat template", family("llama", put("chat_template.jinja", CHAT)), "llama"),
    Good("with chat templates by name", family("qwen3", edit("tokenizer_config.json", chat_template=NAMED_TEMPLATES)), "qwen3"),
    Good("with a Chinese tokenizer", family("gpt2", chinese)),
    Good("with a tokenizer of SentencePiece's kind", family("gemma", unigram), "gemma"),
    Good("an adapter of a GPT-2", adapter("gpt2", target_modules=["c_attn", "c_proj"]), "gpt2", True),
    Good("an adapter with ranks by module", adapter("llama", target_modules=["q_proj", "v_proj"], rank_pattern={"v_proj": 2}), "llama", True),
    Good("an adapter that names its base in its card", named_in_its_card, "gpt2", True),
    Good("an adapter with a tokenizer of its own", with_a_tokenizer, "llama", True),
]  # fmt: skip
