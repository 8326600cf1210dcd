"""Each good release passes, with the right numbers, and the worker can load it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.architectures import MODEL_TYPES
from inference.engine import Engine
from inference.manifest import ManifestReport, check_adapter, inspect_folder
from inference.tasks import Encoder
from store.catalog import trial
from store.catalog.reader import read_release
from tests.releases.folders import BASE_DIGEST
from tests.releases.good import CASES, Good
from tests.tiny_families import CONTEXT, ENCODERS, VOCAB, tiny_model

TASKS = {"bert": "fill-mask", "bert_bare": "feature-extraction"}


@pytest.fixture(autouse=True)
def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's own tests read texts of the full length."""
    monkeypatch.setattr(trial, "LONG_CHARS", 10_000)


@pytest.fixture(params=CASES, ids=lambda case: case.name, scope="module")
def case(request: pytest.FixtureRequest) -> Good:
    good: Good = request.param
    return good


@pytest.fixture(scope="module")
def folder(case: Good, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("good") / "release"
    case.write(made)
    return made


def test_it_passes_with_the_right_numbers(case: Good, folder: Path) -> None:
    found = read_release(folder)
    assert found["problems"] == []
    assert found["task"] == TASKS.get(case.family, "text-generation")
    if case.is_adapter:
        assert found["adapter"]["base_digest"] == BASE_DIGEST
        assert 0 < found["parameters"] < 10_000
    else:
        model = tiny_model(case.family)
        assert found["architecture"] == type(model).__name__
        assert (found["vocab_size"], found["context_length"]) == (VOCAB, CONTEXT)
        assert found["parameters"] == parameters(case)


def parameters(case: Good) -> int:
    """Of the model, without what the release need not hold: BERT's pooler, and a head that is the embeddings again."""
    names = {name: parameter.numel() for name, parameter in tiny_model(case.family).named_parameters()}
    unused = ("pooler.",) if case.family == "bert_bare" else ("lm_head.",) if "tied" in case.name else ()
    return sum(size for name, size in names.items() if not name.startswith(unused))


def test_the_worker_loads_it(case: Good, folder: Path) -> None:
    base = folder.with_name(f"{folder.name}-base") if case.is_adapter else None
    if case.is_adapter:
        report: ManifestReport = inspect_folder(folder)
        assert report.adapter is not None
        assert base is not None
        assert check_adapter(report.adapter, json.loads((base / "config.json").read_bytes())) == []
    if case.family in ENCODERS:
        assert Encoder(folder).embed([[5, 6, 7]]).shape == (1, 32)
    else:
        engine = Engine.load(base or folder, max_batch=1, max_step_tokens=8)
        if base:
            assert engine.add_adapter(f"sha256:{1:064x}", folder) > 0


def test_there_are_twenty_and_every_family_is_among_them() -> None:
    assert len(CASES) >= 20
    names = {type(tiny_model(case.family)).__name__ for case in CASES if not case.is_adapter}
    assert names == MODEL_TYPES.keys()
