"""config.json and generation_config.json: code, giants, families that are not served."""

from __future__ import annotations

from typing import Any

from tests.releases.folders import Case, edit, put, remove

BAD = {"bad_config"}


def config(name: str, word: str, codes: set[str] = BAD, **changes: Any) -> Case:
    return Case(name, edit("config.json", **changes), codes, word)


def generation(name: str, word: str, **changes: Any) -> Case:
    return Case(name, edit("generation_config.json", **changes), BAD, word)


CASES = [
    Case("no config", remove("config.json"), {"missing"}, "config.json is missing"),
    Case("a config of 0 bytes", put("config.json", b""), {"empty"}, "config.json is empty"),
    Case("a config that is a list", put("config.json", "[]"), {"bad_json"}, "not a JSON object"),
    Case("a config that ends early", put("config.json", '{"vocab_size": 3'), {"bad_json"}, "not valid JSON"),
    Case("a config with a key twice", put("config.json", '{"a": 1, "a": 2}'), {"bad_json"}, "twice"),
    Case("a config with NaN", put("config.json", '{"layer_norm_epsilon": NaN}'), {"bad_json"}, "NaN"),
    Case("a config nested deeply", put("config.json", '{"a":' * 50_000), {"bad_json"}, "nested"),
    Case("a config in UTF-16", put("config.json", "{}".encode("utf-16")), {"bad_json"}, "save_pretrained"),
    Case("a number of 10,000 digits", put("config.json", '{"vocab_size": ' + "9" * 10_000 + "}"), {"bad_json"}, "limit"),
    config("remote code", "auto_map", auto_map={"AutoModelForCausalLM": "modeling.Evil"}),
    config("remote code of another repository", "auto_map", auto_map={"AutoConfig": "evil/repo--config.Evil"}),
    config("a pipeline of its own", "custom_pipelines", custom_pipelines={"x": {"impl": "evil.py"}}),
    config("an attention kernel of a stranger", "attn_implementation", attn_implementation="evil/kernel"),
    config("the same under its inner name", "_attn_implementation", _attn_implementation="evil/kernel"),
    config("kernels switched on", "use_kernels", use_kernels=True),
    config("quantized weights", "quantization_config", quantization_config={"quant_method": "gptq"}),
    config("an unknown family", "must be one of", architectures=["MambaForCausalLM"], model_type="mamba"),
    config("no family", "must be one of", architectures=None),
    config("two families", "must be one of", architectures=["GPT2LMHeadModel", "LlamaForCausalLM"]),
    config("a family that is no text", "must be one of", architectures=[{"x": 1}]),
    config("the type of another family", "model_type", model_type="llama"),
    config("a head for classes", "save the model with its head", architectures=["GPT2ForSequenceClassification"]),
    config("a vocabulary of 10^12", "vocab_size", vocab_size=10**12),
    config("a width of 10^9", "n_embd", n_embd=10**9),
    config("10^6 layers", "n_layer", n_layer=10**6),
    config("0 layers", "n_layer", n_layer=0),
    config("-1 heads", "n_head", n_head=-1),
    config("heads that do not divide", "not a multiple", n_head=3),
    config("a width in quotes", "n_embd", n_embd="8"),
    config("a width with a fraction", "n_embd", n_embd=8.5),
    config("a vocabulary that is true", "vocab_size", vocab_size=True),
    config("a context of 10^9", "n_positions", n_positions=10**9),
    config("a billion labels", "num_labels", num_labels=10**9),
    config("an unknown activation", "activation_function", activation_function="__import__('os')"),
    config("an epsilon of 10^9", "layer_norm_epsilon", layer_norm_epsilon=1e9),
    config("a tie that is a text", "tie_word_embeddings", tie_word_embeddings="yes"),
    config("a dtype of its own", "dtype", dtype="float8_e4m3fn"),
    config("a dtype that is code", "dtype", torch_dtype={"x": "os.system"}),
    config("an encoder and decoder", "is_encoder_decoder", is_encoder_decoder=True),
    config("heads cut away", "pruned_heads", pruned_heads={"0": [1]}),
    config("an end outside the vocabulary", "eos_token_id", eos_token_id=50256),
    config("ends that are texts", "eos_token_id", eos_token_id=["</s>"]),
    config("another context than the weights have", "[64, 8]", {"weights_differ"}, n_positions=65),
    config("more layers than the weights have", "h.1.", {"weights_missing"}, n_layer=2),
    config("weights that are not tied", "lm_head", {"weights_missing"}, tie_word_embeddings=False),
    generation("code for generating", "custom_generate", custom_generate="evil/repo"),
    generation("a temperature of -1", "temperature", temperature=-1),
    generation("a top_p of 7", "top_p", top_p=7),
    generation("an end outside the vocabulary, to generate", "eos_token_id", eos_token_id=[0, 999]),
    Case("a generation config that is a text", put("generation_config.json", '"x"'), {"bad_json"}, "generation_config.json"),
    Case("an infinite temperature", put("generation_config.json", '{"temperature": 1e999}'), {"bad_json"}, "1e999"),
    Case("a tokenizer config with code", edit("tokenizer_config.json", auto_map={"AutoTokenizer": ["x", None]}), BAD, "auto_map"),
]  # fmt: skip
