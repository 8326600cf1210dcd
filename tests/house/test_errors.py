"""Errors have one root, stable codes, and one shape on each of the two wires."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest
from rest_framework import exceptions as drf

import store
from store.api.errors import management_error, openai_error
from store.errors import StoreError

MAIN_MODULES = {"store.bringup.__main__", "store.bringup.prepare"}


def errors() -> list[type[StoreError]]:
    for module in pkgutil.walk_packages(store.__path__, "store."):
        if module.name not in MAIN_MODULES and ".migrations" not in module.name:
            importlib.import_module(module.name)
    return sorted(set(below(StoreError)), key=lambda error: error.__qualname__)


def below(error: type[StoreError]) -> Iterator[type[StoreError]]:
    for child in error.__subclasses__():
        if child.__module__.startswith("store."):
            yield child
            yield from below(child)


def test_every_error_has_a_code_of_its_own_and_a_status_of_an_error() -> None:
    codes: dict[str, list[str]] = {}
    for error in errors():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", error.code), error
        assert 400 <= error.status < 600, error
        if "code" in vars(error):
            codes.setdefault(error.code, []).append(f"{error.__module__}.{error.__name__}")
    assert {code: owners for code, owners in codes.items() if len(owners) > 1} == {}


def test_every_error_has_openais_shape_on_v1_and_ours_on_the_management_api() -> None:
    for kind in errors():
        error = StoreError.__new__(kind)
        StoreError.__init__(error, "What is wrong.", param="field")
        wire = openai_error(error)
        assert set(wire) == {"error"}
        assert set(wire["error"]) == {"message", "type", "param", "code"}
        assert wire["error"]["code"] == kind.code
        answer = management_error(error, {})
        assert answer is not None
        assert answer.data == {"error": {"code": kind.code, "message": "What is wrong.", "param": "field"}}
        assert answer.status_code == kind.status


@pytest.mark.parametrize(
    "error",
    [
        drf.ValidationError({"name": ["Too long."]}),
        drf.NotAuthenticated(),
        drf.PermissionDenied(),
        drf.NotFound(),
        drf.MethodNotAllowed("PUT"),
    ],
)
def test_what_the_framework_raises_has_the_same_shape(error: Exception) -> None:
    answer = management_error(error, {})
    assert answer is not None
    assert set(answer.data) == {"error"}
    assert set(answer.data["error"]) == {"code", "message", "param"}
