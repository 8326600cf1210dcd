"""The parameters of a request, in Stripe's form encoding, held against what an endpoint takes.

A shape is a dict from name to a type: ``str``, ``int``, ``bool``, a tuple of allowed strings, a shape, a list of one of these, or
:class:`Free` for what a caller may name freely. A name that ends in ``!`` must be given.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from store.sandbox.errors import ApiError

PART = re.compile(r"\[([^\]]*)\]")
METADATA_KEYS, METADATA_CHARS = 50, 500
LISTING: dict[str, Any] = {
    "limit": int,
    "starting_after": str,
    "ending_before": str,
    "created": {"gt": int, "gte": int, "lt": int, "lte": int},
}


class Free:
    """Strings by names of the caller's own: metadata."""


def decode(text: str) -> dict[str, Any]:
    """``a[b][0]=c`` becomes ``{"a": {"b": ["c"]}}``."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head = name.partition("[")[0]
        path = [head, *PART.findall(name[len(head) :])]
        node = root
        for part in path[:-1]:
            inner = node.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ApiError(f"Invalid parameter: {name}", param=name)
            node = inner
        if path[-1] == "":
            path[-1] = str(len(node))
        node[path[-1]] = value
    return {name: _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(each) for name, each in value.items()}
    return list(inner.values()) if inner and all(name.isdecimal() for name in inner) else inner


def check(params: dict[str, Any], shape: dict[str, Any], *, at: str = "") -> dict[str, Any]:
    """The parameters with their types. Raises ApiError, in Stripe's words, on one that is unknown, missing or malformed."""
    kinds = {name.removesuffix("!"): kind for name, kind in shape.items()}
    for name in params:
        if name not in kinds:
            raise ApiError(
                f"Received unknown parameter: {_at(at, name)}", code="parameter_unknown", param=_at(at, name)
            )
    for name in shape:
        if name.endswith("!") and params.get(name[:-1]) in (None, "", []):
            full = _at(at, name[:-1])
            raise ApiError(f"Missing required param: {full}.", code="parameter_missing", param=full)
    return {name: _value(value, kinds[name], _at(at, name)) for name, value in params.items()}


def _at(at: str, name: str) -> str:
    return f"{at}[{name}]" if at else name


def _value(value: Any, kind: Any, at: str) -> Any:
    if kind is Free:
        return _free(value, at)
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise ApiError(f"Invalid object: {at}", param=at)
        return check(value, kind, at=at)
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise ApiError("Invalid array", param=at)
        return [_value(each, kind[0], f"{at}[{index}]") for index, each in enumerate(value)]
    if not isinstance(value, str):
        raise ApiError(f"Invalid string: {at}", param=at)
    return _scalar(value, kind, at)


def _scalar(value: str, kind: Any, at: str) -> Any:
    if isinstance(kind, tuple):
        if value not in kind:
            raise ApiError(f"Invalid {at}: must be one of {', '.join(kind)}", param=at)
        return value
    if kind is int:
        if not re.fullmatch(r"-?[0-9]{1,15}", value, re.ASCII):
            raise ApiError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=at)
        return int(value)
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise ApiError(f"Invalid boolean: {value}", param=at)
        return value.lower() == "true"
    return value


def _free(value: Any, at: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ApiError(f"Invalid object: {at}", param=at)
    if len(value) > METADATA_KEYS or any(len(each) > METADATA_CHARS for each in value.values()):
        raise ApiError(f"{at} has at most {METADATA_KEYS} keys of {METADATA_CHARS} characters each.", param=at)
    return value
