"""Adapters: no base, other methods than LoRA, tensors that are none of its."""

from __future__ import annotations

from typing import Any

from tests.releases.folders import BASE_DIGEST, MODULE, Case, after, edit, packed, put, remove, reshape, safetensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BAD, DIFFERS = {"bad_adapter"}, {"adapter_differs"}
A, B = f"{MODULE}.lora_A.weight", f"{MODULE}.lora_B.weight"


def config(name: str, word: str, codes: set[str] = BAD, **changes: Any) -> Case:
    return Case(name, edit(CONFIG, **changes), codes, word, "adapter")


def tensors(name: str, word: str, **shapes: tuple[int, ...] | None) -> Case:
    """``A`` and ``B`` are the two that there are; None takes one away."""
    names = {"A": A, "B": B}
    wanted = {names.get(key, key): shape for key, shape in shapes.items()}
    changed = reshape(lambda old: {key: shape for key, shape in (old | wanted).items() if shape is not None})
    return Case(name, changed, DIFFERS, word, "adapter")


CARD = f"---\nlicense: mit\nbase_model_digest: sha256:{'cd' * 32}\n---\n"

CASES = [
    config("a base by name alone", "sha256:", {"base_unnamed"}, revision=None),
    config("a base by branch", "digest", {"base_unnamed"}, revision="main"),
    config("a digest of 63 digits", "digest", {"base_unnamed"}, revision=BASE_DIGEST[:-1]),
    Case("two bases", put("README.md", CARD), {"base_unnamed"}, "names two bases", "adapter"),
    config("a base on somebody's disk", "acme/bard", base_model_name_or_path="/home/me/model"),
    config("a base that leads elsewhere", "acme/bard", base_model_name_or_path="../../etc"),
    config("no base", "acme/bard", base_model_name_or_path=None),
    config("prefix tuning", "LORA", peft_type="PREFIX_TUNING"),
    config("no method", "LORA", peft_type=None),
    config("an adapter for classes", "CAUSAL_LM", task_type="SEQ_CLS"),
    config("a class to import", "auto_mapping", auto_mapping={"base_model_class": "Evil", "parent_library": "evil"}),
    config("whole weights beside it", "modules_to_save", modules_to_save=["lm_head"]),
    config("DoRA", "use_dora", use_dora=True),
    config("a method of next year", "use_next", use_next={"x": 1}),
    config("biases", "`bias`", bias="all"),
    config("a start that changes the base", "changes the base", init_lora_weights="pissa_niter_4"),
    config("a rank of 0", "`r`", r=0),
    config("a rank of 10^6", "`r`", r=10**6),
    config("a rank in quotes", "`r`", r="8"),
    config("an alpha that is a text", "lora_alpha", lora_alpha="16"),
    config("targets that are a regular expression", "plain names", target_modules="(a+)+$"),
    config("targets that are many", "plain names", target_modules=["(a+)+$"]),
    config("no targets", "target_modules", target_modules=[]),
    config("ranks by regular expression", "rank_pattern", rank_pattern={"(a+)+$": 8}),
    config("alphas that are a list", "alpha_pattern", alpha_pattern=[1]),
    config("another rank than the weights have", "rank 4", DIFFERS, r=8),
    config("other targets than the weights have", "target_modules", DIFFERS, target_modules=["q_proj"]),
    Case("an adapter's config that is a list", put(CONFIG, "[1]"), {"bad_json"}, "not a JSON object", "adapter"),
    Case("an adapter without its config", remove(CONFIG), {"missing"}, "peft model", "adapter"),
    Case("an adapter without its weights", remove(WEIGHTS), {"missing"}, WEIGHTS, "adapter"),
    Case("an adapter's weights as a pickle", after(remove(WEIGHTS), put("adapter_model.bin", b"\x80\x02.")), {"pickle"},
         "inference.convert adapter_model.bin", "adapter"),
    Case("a header that lies", put(WEIGHTS, packed(b"{}", b"1")), {"bad_safetensors"}, "0 tensors", "adapter"),
    Case("a whole model beside it", put("model.safetensors", safetensors({"x": (1,)})), {"two_models"}, "Publish a whole model", "adapter"),
    Case("an adapter beside a whole model", after(edit(CONFIG, peft_type="LORA"), put(WEIGHTS, safetensors({A: (1, 1)}))),
         {"two_models", "bad_adapter"}, "Remove config.json"),
    tensors("half of a pair", "only one of", B=None),
    tensors("halves of different rank", "rank", B=(24, 5)),
    tensors("a vector", "no LoRA matrix", A=(32,)),
    tensors("a weight of the base", "no LoRA matrix", **{"base_model.model.lm_head.weight": (300, 8)}),
    tensors("magnitudes of DoRA", "no LoRA matrix", **{f"{MODULE}.lora_magnitude_vector": (24,)}),
    Case("an adapter of 8 bits", reshape(lambda shapes: shapes, dtype="U8"), {"bad_dtype"}, "float16", "adapter"),
]  # fmt: skip
