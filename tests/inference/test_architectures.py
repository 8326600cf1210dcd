"""Configs as the Hub has them, by their number of parameters, which is published."""

from __future__ import annotations

from typing import Any

import pytest

from inference.architectures import ConfigError, read_architecture

LLAMA3_ROPE = {
    "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3",
}  # fmt: skip


def config(name: str, kind: str, **values: Any) -> dict[str, Any]:
    return {"architectures": [name], "model_type": kind, **values}


def shape(width: int, inner: int, layers: int, heads: int, kv_heads: int | None = None) -> dict[str, Any]:
    made = {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads}
    return made | ({"num_key_value_heads": kv_heads} if kv_heads else {})


GPT2 = config(
    "GPT2LMHeadModel", "gpt2", n_ctx=1024, n_embd=768, n_head=12, n_layer=12, vocab_size=50257, eos_token_id=50256
)
PYTHIA = config(
    "GPTNeoXForCausalLM", "gpt_neox", **shape(768, 3072, 12, 12), rotary_emb_base=10000, rotary_pct=0.25, vocab_size=50304,
    torch_dtype="float16",
)  # fmt: skip
LLAMA = config(
    "LlamaForCausalLM", "llama", **shape(2048, 8192, 16, 32, 8), head_dim=64, rope_scaling=LLAMA3_ROPE, rope_theta=500000.0,
    tie_word_embeddings=True, vocab_size=128256, max_position_embeddings=131072, eos_token_id=[128001, 128008, 128009],
)  # fmt: skip
MISTRAL = config(
    "MistralForCausalLM",
    "mistral",
    **shape(4096, 14336, 32, 32, 8),
    sliding_window=4096,
    vocab_size=32000,
    max_position_embeddings=32768,
)
QWEN2 = config(
    "Qwen2ForCausalLM", "qwen2", **shape(896, 4864, 24, 14, 2), sliding_window=32768, max_window_layers=21, use_sliding_window=False,
    tie_word_embeddings=True, vocab_size=151936,
)  # fmt: skip
QWEN3 = config(
    "Qwen3ForCausalLM", "qwen3", **shape(1024, 3072, 28, 16, 8), head_dim=128, rope_scaling=None, sliding_window=None,
    tie_word_embeddings=True, vocab_size=151936, max_position_embeddings=40960,
)  # fmt: skip
GEMMA = config(
    "GemmaForCausalLM", "gemma", **shape(2048, 16384, 18, 8, 1), head_dim=256, hidden_act="gelu", vocab_size=256000
)
GEMMA2 = config(
    "Gemma2ForCausalLM", "gemma2", **shape(2304, 9216, 26, 8, 4), cache_implementation="hybrid", sliding_window=4096
)
GEMMA3 = config(
    "Gemma3ForCausalLM", "gemma3_text", **shape(640, 2048, 18, 4, 1), rope_local_base_freq=10000.0, sliding_window=512,
    vocab_size=262144, max_position_embeddings=32768,
)  # fmt: skip
BERT = config(
    "BertForMaskedLM", "bert", position_embedding_type="absolute", gradient_checkpointing=False, pad_token_id=0
)


@pytest.mark.parametrize(
    ("made", "parameters", "context", "window"),
    [
        (GPT2, 124_439_808, 1024, None), (PYTHIA, 162_322_944, 2048, None), (LLAMA, 1_235_814_400, 131_072, None),
        (MISTRAL, 7_241_732_096, 32_768, 4096), (QWEN2, 494_032_768, 32_768, None), (QWEN3, 596_049_920, 40_960, None),
        (GEMMA, 2_506_172_416, 8192, None), (GEMMA2, 2_614_341_888, 8192, 4096), (GEMMA3, 268_098_176, 32_768, 512),
        (BERT, 109_514_298, 512, None),
    ],
)  # fmt: skip
def test_a_known_model_has_its_published_size(
    made: dict[str, Any], parameters: int, context: int, window: int | None
) -> None:
    architecture = read_architecture(made)
    assert (architecture.parameters, architecture.context_length) == (parameters, context)
    assert architecture.sliding_window == window


@pytest.mark.parametrize(
    ("made", "changes", "word"),
    [
        (LLAMA, {"rope_scaling": {"rope_type": "llama3"}}, "lacks `factor`"),
        (LLAMA, {"rope_scaling": {"rope_type": "longrope"}}, "longrope"),
        (LLAMA, {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        (LLAMA, {"rope_theta": "large"}, "rope_theta"),
        (LLAMA, {"num_key_value_heads": 7}, "not a multiple"),
        (LLAMA, {"head_dim": 63}, "even"),
        (LLAMA, {"hidden_act": "exec"}, "hidden_act"),
        (PYTHIA, {"rotary_pct": 0.05}, "even number"),
        (QWEN2, {"layer_types": ["linear_attention"] * 24}, "layer_types"),
        (QWEN2, {"layer_types": ["full_attention"]}, "layer_types"),
        (QWEN3, {"sliding_window": -4}, "sliding_window"),
        (GEMMA2, {"attn_logit_softcapping": 0}, "attn_logit_softcapping"),
        (GEMMA2, {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        (GEMMA3, {"rope_parameters": {"full_attention": {"rope_type": "dynamic"}}}, "dynamic"),
        (GEMMA3, {"rope_parameters": {"full_attention": 7}}, "JSON object"),
        (BERT, {"position_embedding_type": "relative_key"}, "absolute"),
        (BERT, {"is_decoder": True}, "is_decoder"),
        (BERT, {"pad_token_id": 30522}, "pad_token_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_named(made: dict[str, Any], changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        read_architecture(made | changes)
