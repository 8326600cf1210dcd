"""A tiny random model of every family that is served, as ``save_pretrained`` writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

CONTEXT: Final = 128  # tokens
VOCAB: Final = 400
WINDOW: Final = 16  # tokens that a sliding layer sees
BEGIN, END = "<|begin|>", "<|end|>"
TEXT: Final = [
    "The quick brown fox jumps over the lazy dog. To be, or not to be, that is the question.",
    "user assistant system content role message, naïve café, 你好 世界 мир привет 🙂",
]
SHAPE: Final[dict[str, Any]] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}  # fmt: skip
# Large enough weights that the likeliest token is never a near tie and the outputs vary.
TOKENS: Final[dict[str, Any]] = {
    "vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "initializer_range": 0.4,
}  # fmt: skip
LOCAL_AND_GLOBAL: Final = ["sliding_attention", "full_attention"]


def _gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(GPT2Config(n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4, **TOKENS))


def _llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2, **TOKENS))


def _gpt_neox() -> PreTrainedModel:
    return GPTNeoXForCausalLM(GPTNeoXConfig(**SHAPE, **TOKENS))


def _mistral() -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=WINDOW, **TOKENS))


def _qwen2() -> PreTrainedModel:
    config = Qwen2Config(
        **SHAPE, num_key_value_heads=2, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1, **TOKENS
    )
    return Qwen2ForCausalLM(config)


def _qwen3() -> PreTrainedModel:
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, num_key_value_heads=2, head_dim=16, **TOKENS))


def _gemma() -> PreTrainedModel:
    return GemmaForCausalLM(GemmaConfig(**SHAPE, num_key_value_heads=1, head_dim=16, **TOKENS))


def _gemma2() -> PreTrainedModel:
    config = Gemma2Config(
        **SHAPE, num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=16, sliding_window=WINDOW,
        attn_logit_softcapping=5.0, final_logit_softcapping=10.0, layer_types=LOCAL_AND_GLOBAL, **TOKENS,
    )  # fmt: skip
    return Gemma2ForCausalLM(config)


def _gemma3() -> PreTrainedModel:
    config = Gemma3TextConfig(
        **SHAPE, num_key_value_heads=1, head_dim=16, query_pre_attn_scalar=16, sliding_window=WINDOW,
        layer_types=LOCAL_AND_GLOBAL, **TOKENS,
    )  # fmt: skip
    return Gemma3ForCausalLM(config)


def _bert_config() -> BertConfig:
    return BertConfig(**SHAPE, vocab_size=VOCAB, initializer_range=0.4)


GENERATORS: Final[dict[str, Callable[[], PreTrainedModel]]] = {
    "gpt2": _gpt2,
    "llama": _llama,
    "gpt_neox": _gpt_neox,
    "mistral": _mistral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
}
ENCODERS: Final[dict[str, Callable[[], PreTrainedModel]]] = {
    "bert": lambda: BertForMaskedLM(_bert_config()),
    "bert_bare": lambda: BertModel(_bert_config()),
}
FAMILIES: Final = GENERATORS | ENCODERS


def tiny_model(family: str, *, seed: int = 7) -> PreTrainedModel:
    """The same random weights for the same seed."""
    torch.manual_seed(seed)
    model = FAMILIES[family]().eval()
    if family in ("gemma2", "gemma3"):  # else they say the same token for ever
        for name, parameter in model.named_parameters():
            if name.endswith(("post_attention_layernorm.weight", "feedforward_layernorm.weight")):
                torch.nn.init.normal_(parameter, std=4.0)
    return model


def write_family(folder: Path, family: str, *, seed: int = 7) -> Path:
    """A release of a family on disk, tokenizer included."""
    tiny_model(family, seed=seed).save_pretrained(folder)
    write_tokenizer(folder, _word_tokenizer() if family in ENCODERS else _byte_tokenizer())
    return folder


def write_adapter(
    folder: Path, base: Path, *, seed: int = 3, base_name: str = "", base_digest: str = "", **config: Any
) -> PreTrainedModel:
    """A LoRA with random weights for the model in ``base``, as PEFT saves it, without the base's own embeddings; returns the model as
    PEFT itself merges it.

    ``base_name`` and ``base_digest`` name the release that it is served on.
    """
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **{"r": 4, "lora_alpha": 8, **config}))
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    if base_name:
        file = folder / "adapter_config.json"
        named = {"base_model_name_or_path": base_name, "revision": base_digest}
        file.write_text(json.dumps(json.loads(file.read_text()) | named))
    merged: PreTrainedModel = adapted.merge_and_unload().eval()
    return merged


def write_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    control = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    names = {"bos_token": BEGIN, "eos_token": END, "pad_token": "[PAD]", "mask_token": "[MASK]", "cls_token": "[CLS]"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    config |= {name: token for name, token in names.items() if token in control}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _byte_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[BEGIN, END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT * 20, trainer)
    return tokenizer


def _word_tokenizer() -> Tokenizer:
    """BERT's: WordPiece, and every text begins with [CLS] and ends with [SEP]."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=VOCAB, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXT * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer
