"""An adapter that all weights are trained on is merged into its base first: PEFT's own unmerged model says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from inference.errors import UnsupportedModel
from inference.training.models import merge_adapter
from tests.tiny_families import write_adapter, write_family

PROMPT = torch.tensor([[5, 60, 7, 123]])


@pytest.mark.parametrize(
    ("family", "targets"),
    [("gpt2", ["c_attn", "c_proj"]), ("llama", ["q_proj", "embed_tokens"]), ("gemma", ["o_proj"])],
)
def test_a_merged_model_says_what_the_adapter_says(tmp_path: Path, family: str, targets: list[str]) -> None:
    base = write_family(tmp_path / "base", family)
    adapter = tmp_path / "adapter"
    write_adapter(adapter, base, target_modules=targets)

    def loaded() -> Any:
        return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()

    merged = loaded()
    merge_adapter(merged, adapter)
    with torch.inference_mode():
        wanted = PeftModel.from_pretrained(loaded(), str(adapter)).eval()(PROMPT).logits
        assert torch.allclose(merged(PROMPT).logits, wanted, atol=1e-4)
        assert not torch.allclose(loaded()(PROMPT).logits, wanted, atol=1e-3)


def test_an_adapter_of_ends_that_share_their_weights_is_refused(tmp_path: Path) -> None:
    base = write_family(tmp_path / "base", "gemma")
    write_adapter(tmp_path / "adapter", base, target_modules=["embed_tokens"])
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with pytest.raises(UnsupportedModel, match="uses twice"):
        merge_adapter(model, tmp_path / "adapter")
