"""The model and its cache on one device: a step in, logits out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from inference.architectures import read_architecture
from inference.engine import attention
from inference.engine.cache import KVCache
from inference.engine.scheduler import Move, Step
from inference.errors import UnsupportedModel
from inference.tensors import load_json

DTYPES: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
DEFAULT_KV_BYTES: Final = {"cpu": 1 << 30, "cuda": 8 << 30}  # at most, where the caller does not say


class Runner:
    """Loads the weights, takes the cache's memory, and computes steps. One thread at a time."""

    def __init__(self, folder: Path, *, device: str, dtype: str, max_batch: int, kv_tokens: int | None) -> None:
        """Raises :class:`UnsupportedModel`, and :class:`ValueError` for an unknown dtype."""
        self.device = torch.device(device)
        self.model = _load_model(folder, _dtype_for(dtype, self.device), self.device)
        config = self.model.config
        self.dtype = next(self.model.parameters()).dtype
        heads = config.num_attention_heads
        kv_heads = getattr(config, "num_key_value_heads", None) or heads
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
        self._groups = heads // kv_heads
        self.vocab_size: int = config.vocab_size
        token_bytes = 2 * config.num_hidden_layers * kv_heads * head_dim * self.dtype.itemsize
        self.kv_tokens = kv_tokens or _default_kv_tokens(
            token_bytes, config.max_position_embeddings, max_batch, self.device
        )
        self.context_length: int = min(config.max_position_embeddings, self.kv_tokens)
        self.cache = KVCache(
            layers=config.num_hidden_layers,
            kv_heads=kv_heads,
            head_dim=head_dim,
            kv_tokens=self.kv_tokens,
            width=self.context_length,
            dtype=self.dtype,
            device=self.device,
        )
        head = self.model.get_output_embeddings()  # type: ignore[no-untyped-call]
        self._head: torch.nn.Module = head
        tensors = {t.data_ptr(): t.nbytes for t in [*self.model.parameters(), *self.model.buffers()]}
        self.memory_bytes = sum(tensors.values()) + self.cache.memory_bytes

    @torch.inference_mode()
    def run(self, step: Step) -> torch.Tensor:
        """Computes a step. Returns the logits of the parts that sample, in their order. Shape: (samples, V)."""
        if step.width != self.cache.width:
            self.cache.resize(step.width, step.keep)
        packed = attention.pack(step, self.cache, groups=self._groups, dtype=self.dtype, device=self.device)
        hidden = self.model.base_model(
            input_ids=packed.ids.unsqueeze(0),
            position_ids=packed.positions.unsqueeze(0),
            use_cache=False,
            packed=packed,
        ).last_hidden_state[0]
        if len(packed.last) != len(hidden):
            hidden = hidden[packed.last]
        return cast(torch.Tensor, self._head(hidden))

    @torch.inference_mode()
    def move(self, move: Move) -> None:
        self.cache.move(move.source, move.target, move.count)

    @torch.inference_mode()
    def clear(self, row: int) -> None:
        self.cache.clear(row)


def _dtype_for(dtype: str, device: torch.device) -> torch.dtype | str:
    """ "auto" is the checkpoint's own on a GPU, and float32 on a CPU, whose matrix units mostly know nothing shorter."""
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is none of auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _load_model(folder: Path, dtype: torch.dtype | str, device: torch.device) -> PreTrainedModel:
    """Safetensors only, no code of the release; weights that are missing are an error, not random numbers."""
    try:
        read_architecture(load_json((folder / "config.json").read_bytes()))
    except ValueError as error:
        raise UnsupportedModel(f"{folder.name} is not served: {error}") from error
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    options: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}
    disable_progress_bar()  # type: ignore[no-untyped-call]  # a worker says itself how far it is
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=dtype, attn_implementation=attention.NAME, output_loading_info=True, **options
    )
    model, info = loaded
    lacking = [*info["missing_keys"], *info["mismatched_keys"]]
    if lacking:
        raise UnsupportedModel(f"{folder.name} lacks the weights {', '.join(map(str, lacking[:3]))}")
    return cast(PreTrainedModel, model.to(device).eval())


def _default_kv_tokens(token_bytes: int, context_length: int, max_batch: int, device: torch.device) -> int:
    """Room for every row at full length, within DEFAULT_KV_BYTES; for one row in any case."""
    affordable = DEFAULT_KV_BYTES.get(device.type, DEFAULT_KV_BYTES["cuda"]) // token_bytes
    return max(context_length, min(affordable, context_length * max_batch))
