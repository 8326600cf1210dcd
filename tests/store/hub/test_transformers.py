"""The libraries that people use: models, tokenizers and adapters are loaded and pushed by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from store.catalog.models import Listing
from tests.store.hub.conftest import Hub
from tests.tiny_model import write_model


@pytest.fixture(scope="module")
def base(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """``acme/gpt``: a GPT-2 that anybody may load."""
    folder = write_model(tmp_path_factory.mktemp("models") / "gpt")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# GPT\n")
    return hub.publish(folder, "gpt").listing.name


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_model_and_its_tokenizer_are_loaded_by_name(hub: Hub, base: str, cache: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(base, cache_dir=cache, token=False)
    tokenizer = AutoTokenizer.from_pretrained(base, cache_dir=cache, token=False)
    tokens = tokenizer("Shall I", return_tensors="pt")
    assert tokenizer.decode(tokens["input_ids"][0]) == "Shall I"
    assert model(**tokens).logits.shape[-1] == model.config.vocab_size


def test_what_is_pushed_comes_back_the_same(hub: Hub, base: str, cache: Path) -> None:
    token = hub.token(hub.provider)
    model = AutoModelForCausalLM.from_pretrained(base, cache_dir=cache, token=False)
    tokenizer = AutoTokenizer.from_pretrained(base, cache_dir=cache, token=False)
    model.push_to_hub("acme/pushed", token=token, private=True)
    tokenizer.push_to_hub("acme/pushed", token=token)
    assert Listing.objects.named("acme/pushed").get().is_private
    again = AutoModelForCausalLM.from_pretrained("acme/pushed", cache_dir=cache, token=token)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    words = AutoTokenizer.from_pretrained("acme/pushed", cache_dir=cache, token=token)
    assert words("Shall I")["input_ids"] == tokenizer("Shall I")["input_ids"]


def test_an_adapter_is_pushed_and_loaded_onto_its_base(hub: Hub, base: str, cache: Path) -> None:
    token = hub.token(hub.provider)
    model = AutoModelForCausalLM.from_pretrained(base, cache_dir=cache, token=False)
    adapted = get_peft_model(
        model, LoraConfig(r=2, target_modules=["c_attn"], task_type="CAUSAL_LM", fan_in_fan_out=True)
    )
    torch.nn.init.normal_(next(p for name, p in adapted.named_parameters() if "lora_B" in name))
    adapted.push_to_hub("acme/adapter", token=token, private=True)
    files = hub.api(hub.provider).list_repo_files("acme/adapter")
    assert {"adapter_config.json", "adapter_model.safetensors"} <= set(files)
    fresh = AutoModelForCausalLM.from_pretrained(base, cache_dir=cache, token=False)
    loaded = PeftModel.from_pretrained(fresh, "acme/adapter", token=token)
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.allclose(loaded(tokens).logits, adapted(tokens).logits)
    said = json.loads(Path(hub.api(hub.provider).hf_hub_download("acme/adapter", "adapter_config.json")).read_text())
    assert said["base_model_name_or_path"] == base
