"""Reads a LoRA adapter, as PEFT saves it, into the matrices that are added to those of its base; without PEFT.

LoRA (Hu and others, 2021): a layer with the weight W gives W x + s * B (A x), where A is (rank, in), B is (out, rank), and s is
alpha / rank, or alpha / sqrt(rank) with rsLoRA (Kalajdzievski, 2023). To serve, nothing is merged: :mod:`inference.engine.adapters`
computes both terms, and the base stays as it is for all others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from inference.errors import UnsupportedModel
from inference.tensors import load_json

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
PREFIX: Final = "base_model.model."
PAIR: Final = re.compile(r"(?P<layer>.+)\.lora_(?P<embedding>embedding_)?(?P<side>[AB])(?:\.weight)?")
PATTERN: Final = re.compile(
    r"[\w.^]+"
)  # PEFT reads these keys as regular expressions: no more of one is needed, or safe
# What changes the meaning of the tensors, and is not known here.
UNKNOWN: Final = (
    "use_dora", "use_qalora", "use_bdlora", "lora_bias", "layer_replication", "trainable_token_indices", "target_parameters",
    "alora_invocation_tokens", "arrow_config", "kasa_config", "velora_config", "monteclora_config", "megatron_config",
)  # fmt: skip
PLAIN_INITS: Final = (None, True, False, "gaussian", "eva", "orthogonal")  # the others change the base as well


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """What an ``adapter_config.json`` says about the size of the change."""

    alpha: float
    alpha_pattern: dict[str, float]  # by the end of a layer's name
    is_rank_stabilized: bool

    def scaling(self, layer: str, rank: int) -> float:
        """s of a layer."""
        found = (alpha for key, alpha in self.alpha_pattern.items() if re.match(rf"(.*\.)?({key})$", layer))
        return next(found, self.alpha) / (math.sqrt(rank) if self.is_rank_stabilized else rank)


def read_config(folder: Path) -> LoraConfig:
    """Raises :class:`UnsupportedModel` with a sentence, and :class:`OSError`."""
    try:
        config = load_json((folder / CONFIG).read_bytes())
    except ValueError as error:
        raise UnsupportedModel(f"{CONFIG} is not valid JSON: {error}") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise UnsupportedModel(f"{CONFIG} is not of a LoRA: `peft_type` must be 'LORA'")
    unknown = [key for key in UNKNOWN if config.get(key)]
    if unknown:
        raise UnsupportedModel(f"{CONFIG} has `{unknown[0]}`, which is not served; merge the adapter into its base")
    if config.get("init_lora_weights") not in PLAIN_INITS:
        raise UnsupportedModel("an adapter with this `init_lora_weights` is not served; convert it to a plain LoRA")
    pattern = config.get("alpha_pattern") or {}
    numbers = [config.get("lora_alpha"), *(pattern.values() if isinstance(pattern, dict) else [None])]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise UnsupportedModel(f"`lora_alpha` and `alpha_pattern` of {CONFIG} must be numbers")
    if not all(PATTERN.fullmatch(key) for key in pattern):
        raise UnsupportedModel("`alpha_pattern` must name layers by letters, digits, dots and underscores")
    return LoraConfig(config["lora_alpha"], pattern, bool(config.get("use_rslora")))


@dataclass(frozen=True, slots=True)
class LowRank:
    """The change of one layer, on the base's device: for x, (x @ down.T) @ up is added to what the layer makes.

    Shapes: ``down`` (rank, in), A as it is; ``up`` (rank, out), B the other way round, times all that scales it. Of an embedding
    ``in`` is the vocabulary, and the column of a token takes the place of x @ down.T.
    """

    down: torch.Tensor
    up: torch.Tensor

    @property
    def nbytes(self) -> int:
        return self.down.nbytes + self.up.nbytes


@torch.no_grad()
def read_adapter(folder: Path, model: PreTrainedModel) -> dict[str, LowRank]:
    """The changes by layer of ``model``, with its type and on its device.

    Raises :class:`UnsupportedModel` where the adapter does not fit the model, and OSError or ValueError for a broken folder.
    """
    config = read_config(folder)
    pairs: dict[tuple[str, bool], dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(folder / WEIGHTS).items():
        found = PAIR.fullmatch(name.removeprefix(PREFIX))
        if not found:
            raise UnsupportedModel(f"{name} is no matrix of a LoRA; merge the adapter and publish the whole model")
        pairs.setdefault((found["layer"], bool(found["embedding"])), {})[found["side"]] = tensor
    if not pairs:
        raise UnsupportedModel(f"{WEIGHTS} has no tensors of a LoRA")
    for (layer, _is_embedding), sides in pairs.items():
        if sides.keys() != {"A", "B"}:
            raise UnsupportedModel(f"{WEIGHTS} lacks one half of {layer}")
    return {
        layer: _low_rank(model, layer, sides["A"], sides["B"], config=config, is_embedding=is_embedding)
        for (layer, is_embedding), sides in pairs.items()
    }


def _low_rank(
    model: PreTrainedModel, layer: str, a: torch.Tensor, b: torch.Tensor, *, config: LoraConfig, is_embedding: bool
) -> LowRank:
    """Shapes: a (rank, in), b (out, rank); the layer's weight is (out, in), or (in, out) in GPT-2's Conv1D and in embeddings."""
    module = _module(model, layer)
    kinds = (torch.nn.Embedding,) if is_embedding else (torch.nn.Linear, Conv1D)
    if not isinstance(module, kinds) or not _is_pair(a, b):
        raise UnsupportedModel(f"the adapter changes {layer}, which is no such matrix of the base")
    weight = module.weight
    wide, high = a.shape[1], b.shape[0]
    if weight.shape != ((high, wide) if isinstance(module, torch.nn.Linear) else (wide, high)):
        raise UnsupportedModel(
            f"the adapter's {layer} is {[high, wide]}, and the base's {list(weight.shape)}: it is of another base"
        )
    # Gemma's embedding multiplies what it has looked up.
    scale = config.scaling(layer, a.shape[0]) * float(getattr(module, "embed_scale", 1.0))
    made = LowRank(
        a.to(weight.device, weight.dtype).contiguous(),
        (b.float() * scale).T.to(weight.device, weight.dtype).contiguous(),
    )
    # It would end every one of its runs: that is said once, and here.
    if not bool(made.down.isfinite().all() & made.up.isfinite().all()):
        raise UnsupportedModel(f"the adapter's {layer} has numbers that are not finite in {weight.dtype}")
    return made


def _is_pair(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dim() == b.dim() == 2 and 0 < a.shape[0] == b.shape[1]


def _module(model: PreTrainedModel, layer: str) -> Any:
    try:
        return model.get_submodule(layer)
    except AttributeError as error:
        raise UnsupportedModel(f"the adapter changes {layer}, which the base does not have") from error


@contextmanager
def overlaid(folder: Path, base: Path | None) -> Iterator[Path]:
    """A folder with the small files of an adapter, and of its base where the adapter has none; the config is the base's.

    Without a base it is ``folder`` itself.
    """
    if base is None:
        yield folder
        return
    with TemporaryDirectory() as made:
        for source in (base, folder):
            for file in source.iterdir():
                is_small = file.is_file() and file.suffix != ".safetensors"
                if is_small and (source == base or file.name != "config.json"):
                    link = Path(made) / file.name
                    link.unlink(missing_ok=True)
                    link.symlink_to(file.resolve())
        yield Path(made)
