"""Adapters: a few small matrices that are added to those of a base, which is named by its digest. Standard library only.

The format is peft's: ``adapter_config.json`` and ``adapter_model.safetensors``. Served is plain LoRA: for a matrix W of the base,
W + scale * B A.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.architectures import ConfigError, read_architecture
from inference.architectures.config import flag, number, size
from inference.manifest.entries import Problem
from inference.manifest.json_files import read_json
from inference.manifest.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from inference.manifest.weights import IN_PLACE_OF_WEIGHTS, check_dtypes, read_headers
from inference.tensors import TensorInfo

MAX_RANK: Final = 1_024
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
BASE_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
PREFIX: Final = "base_model.model."
TENSOR: Final = re.compile(r"base_model\.model\.([\w.]+)\.lora_(?:([AB])\.weight|embedding_([AB]))", re.ASCII)
MODULE: Final = re.compile(r"[\w.]{1,200}", re.ASCII)
# Keys of which any value is heard below, or which only matter in training.
HEARD: Final = (
    "base_model_name_or_path", "revision", "peft_type", "task_type", "inference_mode", "r", "lora_alpha", "lora_dropout",
    "use_rslora", "fan_in_fan_out", "bias", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
    "rank_pattern", "alpha_pattern", "init_lora_weights", "loftq_config", "eva_config", "peft_version", "runtime_config",
    "ensure_weight_tying", "megatron_core", "qalora_group_size",
)  # fmt: skip
PLAIN_STARTS: Final = (None, True, False, "gaussian", "eva", "orthogonal")  # the others change the base before training


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter:
    """An adapter that is well made, as far as can be told without its base.

    ``modules``: name -> (in, out) of the matrix; those in ``embeddings`` look a token up, and ``in`` is how many they know.
    """

    base_name: str  # "acme/bard"
    base_digest: str  # "" where adapter_config.json does not say it
    modules: dict[str, tuple[int, int]]
    parameters: int
    tokens: int  # ids of a tokenizer of its own, 0 to tokens - 1; 0: it has none
    embeddings: tuple[str, ...] = ()


def read_adapter(
    folder: Path, present: set[str], found: Mapping[str, Any], tokens: int, problems: list[Problem]
) -> Adapter | None:
    """The adapter in a folder, or None, and then it is said why. ``tokens``: those of its own tokenizer, or 0."""
    before = len(problems)
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if name not in present and not any(problem.code in IN_PLACE_OF_WEIGHTS for problem in problems):
            message = f"{name} is missing; `model.save_pretrained(folder)` of a peft model writes it."
            problems.append(Problem(name, "missing", message))
    for name in sorted(present):
        if name == "config.json" or (name.endswith(".safetensors") and name != ADAPTER_WEIGHTS):
            message = f"Remove {name}: the files of an adapter are here, which is served on its base. Publish a whole model apart."
            problems.append(Problem(name, "two_models", message))
    config = read_json(folder, ADAPTER_CONFIG, problems) if ADAPTER_CONFIG in found else None
    if config is not None:
        try:
            _check_config(config)
        except ConfigError as error:
            problems.append(Problem(ADAPTER_CONFIG, "bad_adapter", f"adapter_config.json: {error}."))
    headers = read_headers(folder, [ADAPTER_WEIGHTS], problems) if ADAPTER_WEIGHTS in found else {}
    if config is None or not headers or len(problems) > before:
        return None
    modules = _read_modules(headers[ADAPTER_WEIGHTS], config, problems)
    check_dtypes(ADAPTER_WEIGHTS, headers[ADAPTER_WEIGHTS], problems)
    if len(problems) > before:
        return None
    revision = str(config.get("revision"))
    return Adapter(
        base_name=config["base_model_name_or_path"],
        base_digest=revision if DIGEST.fullmatch(revision) else "",
        modules=modules,
        parameters=sum(info.shape[0] * info.shape[1] for info in headers[ADAPTER_WEIGHTS].values()),
        tokens=tokens,
        embeddings=tuple(name for name in modules if f"{PREFIX}{name}.lora_embedding_A" in headers[ADAPTER_WEIGHTS]),
    )


def _check_config(config: dict[str, Any]) -> None:
    """Raises :class:`ConfigError`."""
    if config.get("peft_type") != "LORA":
        raise ConfigError(f"`peft_type` is {str(config.get('peft_type'))[:40]!r}, and LORA is what is served")
    if config.get("task_type") not in ("CAUSAL_LM", None):
        raise ConfigError(f"`task_type` is {str(config.get('task_type'))[:40]!r}, and CAUSAL_LM is what is served")
    if config.get("modules_to_save"):
        raise ConfigError(
            "`modules_to_save` are whole weights beside the adapter; merge it and publish the whole model"
        )
    for key, value in config.items():
        if key not in HEARD and value:
            raise ConfigError(f"`{key[:60]}` is not served; merge the adapter and publish the whole model")
    if config.get("bias", "none") != "none":
        raise ConfigError("`bias` must be none; merge the adapter and publish the whole model")
    start = config.get("init_lora_weights")
    if start not in PLAIN_STARTS:
        raise ConfigError(
            f"`init_lora_weights` {str(start)[:40]!r} changes the base; merge and publish the whole model"
        )
    if not BASE_NAME.fullmatch(str(config.get("base_model_name_or_path"))):
        raise ConfigError("`base_model_name_or_path` must be the base's name in this store, as acme/bard")
    size(config, "r", MAX_RANK)
    number(config, "lora_alpha", low=1e-4, high=1e5, default=8)
    flag(config, "use_rslora", default=False)
    flag(config, "fan_in_fan_out", default=False)
    _check_patterns(config)


def _check_patterns(config: dict[str, Any]) -> None:
    """peft reads these as regular expressions; here they are plain names."""
    targets = config.get("target_modules")
    named = targets if isinstance(targets, list) else []
    if targets != "all-linear" and not (named and all(isinstance(n, str) and MODULE.fullmatch(n) for n in named)):
        raise ConfigError("`target_modules` must be a list of plain names, as q_proj and v_proj")
    for key, high in (("rank_pattern", MAX_RANK), ("alpha_pattern", 1e5)):
        pattern = config.get(key) or {}
        if not isinstance(pattern, dict) or not all(MODULE.fullmatch(name) for name in pattern):
            raise ConfigError(f"`{key}` must name modules plainly, without signs of a regular expression")
        for name in pattern:
            number(pattern, name, low=1e-4, high=high, default=1)


def _read_modules(
    tensors: Mapping[str, TensorInfo], config: dict[str, Any], problems: list[Problem]
) -> dict[str, tuple[int, int]]:
    """Module -> (in, out), where every A has its B of the same rank."""
    pairs: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, info in tensors.items():
        found = TENSOR.fullmatch(name)
        if not found or len(info.shape) != 2:
            message = f"{name[:100]!r} is no LoRA matrix; only lora_A and lora_B are served. `save_embedding_layers=False` leaves the base's embeddings out."
            problems.append(Problem(ADAPTER_WEIGHTS, "adapter_differs", message))
            return {}
        pairs.setdefault(found[1], {})[found[2] or found[3]] = info.shape
    ranks = {config["r"], *(config.get("rank_pattern") or {}).values()}
    for module, pair in pairs.items():
        if fault := _pair_fault(module, pair, ranks, config["target_modules"]):
            problems.append(Problem(ADAPTER_WEIGHTS, "adapter_differs", fault))
            return {}
    return {module: (pair["A"][1], pair["B"][0]) for module, pair in pairs.items()}


def _pair_fault(module: str, pair: dict[str, tuple[int, ...]], ranks: set[int], targets: Any) -> str | None:
    if pair.keys() != {"A", "B"}:
        return f"{module[:100]!r} has only one of lora_A and lora_B; save the adapter again."
    if pair["A"][0] != pair["B"][1] or pair["A"][0] not in ranks:
        return f"{module[:100]!r} has the rank {pair['A'][0]}, and adapter_config.json says {sorted(ranks)}; upload both files of one save."
    if targets != "all-linear" and not any(module == name or module.endswith(f".{name}") for name in targets):
        return f"{module[:100]!r} is not among `target_modules`; upload both files of one save."
    return None


def _is_wide_first(architecture: str, module: str, adapter: Adapter) -> bool:
    """Whether the base keeps a matrix as (in, out): embeddings, and all of GPT-2's but its head."""
    return module in adapter.embeddings or (architecture == "GPT2LMHeadModel" and module != "lm_head")


def check_adapter(adapter: Adapter, base_config: dict[str, Any]) -> list[Problem]:
    """Whether an adapter fits its base, of which this is ``config.json``, parsed."""
    try:
        base = read_architecture(base_config)
    except ConfigError as error:
        return [Problem(ADAPTER_CONFIG, "base_differs", f"Its base is not served: {error}.")]
    if base.task != "text-generation":
        return [Problem(ADAPTER_CONFIG, "base_differs", f"Its base is a {base.name}, which takes no adapters here.")]
    for module, (wide, high) in adapter.modules.items():
        shape = (base.shapes | base.optional).get(f"{module}.weight")  # a head may be tied, and be changed all the same
        if shape is None:
            message = f"The base has no matrix {module[:100]!r}; name the base that the adapter was trained on."
            return [Problem(ADAPTER_WEIGHTS, "base_differs", message)]
        if shape != ((wide, high) if _is_wide_first(base.name, module, adapter) else (high, wide)):
            message = f"{module[:100]!r} does not fit the base's {list(shape)}; name the base that the adapter was trained on."
            return [Problem(ADAPTER_WEIGHTS, "base_differs", message)]
    if adapter.tokens > base.vocab_size:
        message = f"tokenizer.json has the token {adapter.tokens - 1}, and the base knows {base.vocab_size} tokens; remove the tokenizer's files, and the base's are used."
        return [Problem("tokenizer.json", "tokenizer_differs", message)]
    return []
