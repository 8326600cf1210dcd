"""Rotary positions: which kinds can be served, with which numbers. Standard library only."""

from __future__ import annotations

from typing import Any, Final

from inference.architectures.config import MAX_CONTEXT, ConfigError, number, size

# Rotary positions that are a function of the position alone. "dynamic" and "longrope" change with the longest in the batch.
ROPE_TYPES: Final = ("default", "linear", "llama3", "yarn")
NEEDED: Final = {
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    "yarn": ("factor",),
}
LAYER_TYPES: Final = ("full_attention", "sliding_attention")


def check_rope(config: dict[str, Any], *, is_partial: bool = False) -> None:
    """``is_partial``: the family may turn a part of a head only. Raises :class:`ConfigError`."""
    number(config, "rope_theta", low=1, high=1e12, default=10_000)
    number(config, "rope_local_base_freq", low=1, high=1e12, default=10_000)
    for key in ("rope_parameters", "rope_scaling"):
        rope = config.get(key) or {}
        if not isinstance(rope, dict):
            raise ConfigError(f"`{key}` is not a JSON object")
        by_layer = [rope[name] for name in LAYER_TYPES if rope.get(name) is not None]
        for one in by_layer or [rope]:
            _check_one(key, one, is_partial=is_partial)


def _check_one(key: str, rope: Any, *, is_partial: bool) -> None:
    if not isinstance(rope, dict):
        raise ConfigError(f"`{key}` is not a JSON object")
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind not in ROPE_TYPES:
        raise ConfigError(f"`{key}` has the type {str(kind)[:40]!r}; served are {', '.join(ROPE_TYPES)}")
    for name in NEEDED.get(kind, ()):
        if rope.get(name) is None:
            raise ConfigError(f"`{key}` of the type {kind} lacks `{name}`")
    for name, high in (("rope_theta", 1e12), ("factor", 1e4), ("low_freq_factor", 1e4), ("high_freq_factor", 1e4)):
        number(rope, name, low=1e-4, high=high, default=1)
    number(rope, "partial_rotary_factor", low=1e-3 if is_partial else 1, high=1, default=1)
    size(rope, "original_max_position_embeddings", MAX_CONTEXT, 1)
