"""Adapters beside their base, against PEFT's own, which is not merged either."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from inference.engine.adapters import Adapter, Deltas, Run
from inference.engine.detokenizer import TokenBytes
from inference.engine.runner import load_model
from inference.errors import UnsupportedModel
from inference.lora import read_adapter
from tests.tiny_families import write_adapter, write_family

QUERY_AND_VALUE = ["q_proj", "v_proj"]
PROMPT = [5, 60, 7, 123]
CPU = torch.device("cpu")
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {family: write_family(root / family, family) for family in ("gpt2", "llama", "gemma")}


@pytest.fixture
def gpt2(bases: dict[str, Path]) -> Path:
    return bases["gpt2"]


@pytest.fixture
def llama(bases: dict[str, Path]) -> Path:
    return bases["llama"]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return tmp_path / "adapter"


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(torch.tensor([PROMPT])).logits
    return found


def unmerged(base: Path, adapter: Path) -> torch.Tensor:
    """What PEFT's model says."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    return logits_of(PeftModel.from_pretrained(model, str(adapter)).eval())


def loaded(base: Path) -> PreTrainedModel:
    return load_model(base, AutoModelForCausalLM, dtype="float32", device=CPU)


def beside(base: Path, adapter: Path) -> torch.Tensor:
    """What the base says with the adapter beside it."""
    model = loaded(base)
    layers = read_adapter(adapter, model)
    one = Adapter(digest="one", layers=layers, token_bytes=TokenBytes([], strip_first_space=False), eos_ids=frozenset())
    plain, deltas = logits_of(model), Deltas(model, CPU)
    with deltas.step([Run(one, len(PROMPT))]):
        changed = logits_of(model)
    with deltas.step([Run(None, len(PROMPT))]):
        assert torch.equal(logits_of(model), plain), "the base is as it was"
    return changed


def change_config(adapter: Path, **changes: Any) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def change_weights(adapter: Path, **changes: torch.Tensor | None) -> None:
    """By the end of a name; None takes a tensor away."""
    tensors = load_file(adapter / WEIGHTS)
    for end, tensor in changes.items():
        name = next(name for name in tensors if name.endswith(f".{end}.weight"))
        tensors.pop(name)
        tensors |= {} if tensor is None else {name: tensor}
    save_file(tensors, adapter / WEIGHTS)


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("llama", {"target_modules": QUERY_AND_VALUE}),
        ("llama", {"target_modules": "all-linear", "lora_alpha": 3}),
        ("llama", {"target_modules": QUERY_AND_VALUE, "use_rslora": True}),
        ("llama", {"target_modules": QUERY_AND_VALUE, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.self_attn.v_proj": 16}}),
        ("llama", {"target_modules": [*QUERY_AND_VALUE, "embed_tokens", "lm_head"]}),
        ("llama", {"target_modules": QUERY_AND_VALUE, "layers_to_transform": [1]}),
        ("gemma", {"target_modules": ["embed_tokens", "o_proj"]}),
        ("gpt2", {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True}),
        ("gpt2", {"target_modules": ["wte", "wpe", "lm_head"]}),
    ],
    ids=["two layers", "all", "rank-stabilized", "patterns", "both ends", "one layer", "a scaled embedding", "the other way round",
         "tied ends"],
)  # fmt: skip
def test_the_model_says_what_peft_says(
    bases: dict[str, Path], adapter: Path, family: str, config: dict[str, Any]
) -> None:
    write_adapter(adapter, bases[family], **config)
    expected = unmerged(bases[family], adapter)
    assert not torch.allclose(logits_of(loaded(bases[family])), expected, atol=1e-2)
    assert torch.allclose(beside(bases[family], adapter), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"lora_alpha": "8"}, "lora_alpha"),
        ({"lora_alpha": float("nan")}, "JSON"),
        ({"alpha_pattern": {"(a+)+": 8}}, "alpha_pattern"),
        ({"alpha_pattern": [1]}, "alpha_pattern"),
    ],
)
def test_an_adapter_that_means_more_than_is_known_is_refused(
    gpt2: Path, adapter: Path, change: dict[str, Any], words: str
) -> None:
    write_adapter(adapter, gpt2, target_modules=["c_attn"])
    change_config(adapter, **change)
    with pytest.raises(UnsupportedModel, match=words):
        beside(gpt2, adapter)


def test_an_adapter_of_another_base_is_refused(gpt2: Path, llama: Path, adapter: Path, tmp_path: Path) -> None:
    write_adapter(adapter, llama, target_modules=QUERY_AND_VALUE)
    with pytest.raises(UnsupportedModel, match="does not have"):
        beside(gpt2, adapter)
    qwen = write_family(tmp_path / "qwen3", "qwen3")  # the same names, other shapes
    with pytest.raises(UnsupportedModel, match="of another base"):
        beside(qwen, adapter)


def test_half_an_adapter_is_refused(gpt2: Path, adapter: Path) -> None:
    write_adapter(adapter, gpt2, target_modules=["c_attn"])
    change_weights(adapter, lora_B=None)
    with pytest.raises(UnsupportedModel, match="half"):
        beside(gpt2, adapter)


@pytest.mark.parametrize("config", [{"modules_to_save": ["lm_head"]}, {"bias": "all"}])
def test_whole_weights_beside_an_adapter_are_refused(gpt2: Path, adapter: Path, config: dict[str, Any]) -> None:
    write_adapter(adapter, gpt2, target_modules=["c_attn"], **config)
    with pytest.raises(UnsupportedModel, match="no matrix of a LoRA"):
        beside(gpt2, adapter)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(gpt2: Path, adapter: Path, number: float) -> None:
    write_adapter(adapter, gpt2, target_modules=["c_attn"])
    change_weights(adapter, lora_B=torch.full((96, 4), number))
    with pytest.raises(UnsupportedModel, match="not finite"):
        beside(gpt2, adapter)
