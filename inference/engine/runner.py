"""The model and its cache on one device: a step in, logits out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from inference.architectures import ENCODERS, read_architecture
from inference.engine import attention
from inference.engine.adapters import Deltas, Run
from inference.engine.cache import KVCache
from inference.engine.scheduler import Move, Step
from inference.errors import UnsupportedModel
from inference.tensors import load_json

DTYPES: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SCORED_AT_ONCE: Final = 64  # tokens
DEFAULT_KV_BYTES: Final = {"cpu": 1 << 30, "cuda": 8 << 30}  # at most, where the caller does not say


class Runner:
    """Loads the weights, takes the cache's memory, and computes steps. One thread at a time."""

    def __init__(self, folder: Path, *, device: str, dtype: str, max_batch: int, kv_tokens: int | None) -> None:
        """Raises :class:`UnsupportedModel`, and ValueError for an unknown dtype."""
        self.device = torch.device(device)
        if architecture_of(folder) in ENCODERS:
            raise UnsupportedModel(f"{folder.name} reads texts and generates none")
        self.model = load_model(
            folder, AutoModelForCausalLM, dtype=dtype, device=self.device, attn_implementation=attention.NAME
        )
        self.deltas = Deltas(self.model, self.device)
        config = self.model.config
        self.dtype = next(self.model.parameters()).dtype
        self.vocab_size: int = config.vocab_size
        self._groups, kv_heads, head_dim = _heads(config)
        token_bytes = 2 * config.num_hidden_layers * kv_heads * head_dim * self.dtype.itemsize
        self.kv_tokens = kv_tokens or _default_kv_tokens(
            token_bytes, config.max_position_embeddings, max_batch, self.device
        )
        self.context_length: int = min(config.max_position_embeddings, self.kv_tokens)
        self.cache = KVCache(
            layers=config.num_hidden_layers, kv_heads=kv_heads, head_dim=head_dim, kv_tokens=self.kv_tokens,
            width=self.context_length, dtype=self.dtype, device=self.device,
        )  # fmt: skip
        head = self.model.get_output_embeddings()  # type: ignore[no-untyped-call]
        self._head: torch.nn.Module = head
        self._softcap: float | None = getattr(config, "final_logit_softcapping", None)
        tensors = {t.data_ptr(): t.nbytes for t in [*self.model.parameters(), *self.model.buffers()]}
        self.memory_bytes = sum(tensors.values()) + self.cache.memory_bytes

    @torch.inference_mode()
    def run(self, step: Step) -> torch.Tensor:
        """Computes a step. Returns the logits of the parts that sample, in their order. Shape: (samples, V).

        Sequences that are scored get the scores of their parts.
        """
        if step.width != self.cache.width:
            self.cache.resize(step.width, step.keep)
        packed = attention.pack(step, self.cache, groups=self._groups, dtype=self.dtype, device=self.device)
        with self.deltas.step([Run(part.sequence.adapter, part.count) for part in step.parts]):
            hidden = self.model.base_model(
                input_ids=packed.ids.unsqueeze(0),
                position_ids=packed.positions.unsqueeze(0),
                use_cache=False,
                packed=packed,
            ).last_hidden_state[0]
            self._score(step, hidden)
            sampled = [Run(part.sequence.adapter, 1) for part in step.parts if part.samples]
            return self._logits(hidden if len(packed.last) == len(hidden) else hidden[packed.last], sampled)

    def _logits(self, hidden: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """``runs``: the adapters of the tokens in ``hidden``, which may change the head as well."""
        self.deltas.narrow(runs)
        logits = cast(torch.Tensor, self._head(hidden))
        return logits if self._softcap is None else torch.tanh(logits / self._softcap) * self._softcap

    def _score(self, step: Step, hidden: torch.Tensor) -> None:
        """Log probabilities of the tokens that follow each scored one, a few at a time: the logits of a long part are large."""
        begin = 0
        for part in step.parts:
            if part.sequence.is_scored:
                following = part.sequence.tokens[part.start + 1 : part.start + part.count + 1]
                for at in range(0, len(following), SCORED_AT_ONCE):
                    targets = torch.tensor(following[at : at + SCORED_AT_ONCE], device=self.device)
                    run = Run(part.sequence.adapter, len(targets))
                    logits = self._logits(hidden[begin + at : begin + at + len(targets)], [run])
                    found = logits.float().log_softmax(dim=-1).gather(1, targets.unsqueeze(1))
                    part.sequence.scores += found.squeeze(1).tolist()
            begin += part.count

    @torch.inference_mode()
    def move(self, move: Move) -> None:
        self.cache.move(move.source, move.target, move.count)

    @torch.inference_mode()
    def clear(self, row: int) -> None:
        self.cache.clear(row)


def _heads(config: Any) -> tuple[int, int, int]:
    """(query heads to one kv head, kv heads, width of a head)."""
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    return heads // kv_heads, kv_heads, getattr(config, "head_dim", None) or config.hidden_size // heads


def _dtype_for(dtype: str, device: torch.device) -> torch.dtype | str:
    """ "auto" is the checkpoint's own on a GPU, and float32 on a CPU, whose matrix units mostly know nothing shorter."""
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is none of auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


def load_model(folder: Path, kind: Any, *, dtype: str, device: torch.device, **options: Any) -> PreTrainedModel:
    """Safetensors only, no code of the release; weights that are missing are an error, not random numbers.

    ``kind``: a class of transformers. Raises :class:`UnsupportedModel`, and :class:`ValueError` for an unknown dtype.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # a worker says itself how far it is
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    fixed: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}
    loaded: Any = kind.from_pretrained(
        folder, config=config, dtype=_dtype_for(dtype, device), output_loading_info=True, **fixed, **options
    )
    model, info = loaded
    lacking = [*info["missing_keys"], *info["mismatched_keys"]]
    if lacking:
        raise UnsupportedModel(f"{folder.name} lacks the weights {', '.join(map(str, lacking[:3]))}")
    return cast(PreTrainedModel, model.to(device).eval())


def architecture_of(folder: Path) -> str:
    """The class that a release's config names. Raises :class:`UnsupportedModel`, and :class:`OSError`."""
    try:
        return read_architecture(load_json((folder / "config.json").read_bytes())).name
    except ValueError as error:
        raise UnsupportedModel(f"{folder.name} is not served: {error}") from error


def _default_kv_tokens(token_bytes: int, context_length: int, max_batch: int, device: torch.device) -> int:
    """Room for every row at full length, within DEFAULT_KV_BYTES; for one row in any case."""
    affordable = DEFAULT_KV_BYTES.get(device.type, DEFAULT_KV_BYTES["cuda"]) // token_bytes
    return max(context_length, min(affordable, context_length * max_batch))
