"""Hostile and broken folders: refused with a sentence, and the store goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, default_storage
from pytest_django.fixtures import Settings

from inference.architectures import read_architecture
from inference.manifest import FileEntry, hash_file, release_digest
from store.accounts.models import Organization
from store.catalog import blobs, inspection
from store.catalog.inspection import Inspection, inspect, inspect_commit, inspect_stored
from store.catalog.models import Blob, Commit, CommitFile, Listing
from tests.releases.folders import BASE_DIGEST, write_release
from tests.releases.hostile.tokenizers import change, pattern


def codes(folder: Path) -> set[str]:
    return {problem.code for problem in inspect(folder).problems}


def test_a_good_folder_has_no_problems(folder: Path) -> None:
    found = inspect(folder)
    assert found.problems == ()
    assert (found.architecture, found.card.title) == ("GPT2LMHeadModel", "Tiny")


def test_a_tokenizer_whose_regex_the_library_cannot_compile_is_a_problem(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert codes(folder) == {"bad_tokenizer"}


def test_a_tokenizer_that_the_library_cannot_read_is_a_problem(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["type"] = "Nothing"
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert codes(folder) == {"bad_tokenizer"}


@pytest.mark.parametrize(
    "front",
    ["a: [", "- a\n- b", "a: &x [1]\nb: !!python/object/apply:os.system ['true']", "[" * 20_000, "x: " + "y" * 40_000],
)
def test_front_matter_that_cannot_be_read_is_a_problem(folder: Path, front: str) -> None:
    (folder / "README.md").write_text(f"---\n{front}\n---\n# Tiny\n")
    assert codes(folder) == {"bad_card"}


def test_a_reader_that_needs_too_much_memory_dies_alone(folder: Path) -> None:
    nested = '{"a": ' * 400_000 + "1" + "}" * 400_000
    (folder / "tokenizer.json").write_text(nested)
    assert codes(folder) <= {"bad_json", "crashed"}
    assert codes(folder)


def test_a_reader_that_hangs_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "BASE_TIMEOUT_S", 0.01)
    began = time.monotonic()
    assert codes(folder) == {"timeout"}
    assert time.monotonic() - began < 60


def test_the_child_sees_no_secret_of_ours(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "do not tell")
    seen = tmp_path / "environment"
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nenv > "{seen}"\nexit 3\n')
    script.chmod(0o755)
    monkeypatch.setattr(inspection.sys, "executable", str(script))
    assert codes(folder) == {"crashed"}
    assert "PYTHONPATH" in seen.read_text()
    assert "do not tell" not in seen.read_text()


def test_a_regular_expression_without_an_end_is_a_problem_of_the_tokenizer(folder: Path) -> None:
    pattern("(a|aa)+$")(folder)
    found = inspect(folder)
    assert [(problem.path, problem.code) for problem in found.problems] == [("tokenizer.json", "slow_tokenizer")]


def test_a_tokenizer_that_hangs_in_its_library_is_ended_and_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double = {"type": "Replace", "pattern": {"String": "e"}, "content": "ee"}
    change(lambda made: made.update(normalizer={"type": "Sequence", "normalizers": [double] * 28}))(folder)
    monkeypatch.setattr(inspection, "TOKENIZER_S", 0.5)
    found = inspect(folder)
    assert [problem.path for problem in found.problems] == ["tokenizer.json"]
    assert "took too long" in found.problems[0].message


def test_a_file_that_takes_all_memory_is_a_sentence(folder: Path, settings: Settings) -> None:
    settings.CHECK_MEMORY_BYTES = 400 * 1024**2
    (folder / "tokenizer.json").write_bytes(b'{"x":[' + b"[]," * 8_000_000 + b"1]}")
    found = inspect(folder)
    assert [problem.code for problem in found.problems] == ["too_much_memory"]
    assert "more memory than is given" in found.problems[0].message


def stored(folder: Path) -> list[FileEntry]:
    """The folder's files in the storage, as an upload leaves them."""
    entries = [hash_file(path, name=str(path.relative_to(folder))) for path in folder.rglob("*") if path.is_file()]
    for entry in entries:
        blobs.store_blob(entry, folder / entry.path, on_bytes=lambda size: None)
    return entries


def test_a_commit_is_read_where_its_files_lie(folder: Path, acme: Organization) -> None:
    (folder / "assets").mkdir()
    (folder / "assets" / "plot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "held_out.txt").write_text("To be.")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    listing = Listing.objects.create(organization=acme, slug="tiny", licence="mit")
    entries = stored(folder)
    commit = Commit.objects.create(listing=listing, oid="a" * 40, digest=release_digest(entries), title="x", size=1)
    for entry in entries:
        Blob.objects.create(sha256=entry.sha256, size=entry.size)
        CommitFile.objects.create(commit=commit, path=entry.path, blob_id=entry.sha256)
    found = inspect_commit(commit)
    assert found.problems == ()
    assert (found.digest, found.has_held_out, found.has_chat_template) == (commit.digest, True, True)
    assert found == inspect(folder)


def test_of_stored_weights_only_the_headers_are_read(folder: Path) -> None:
    """Four gigabytes that are a hole in a file."""
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": 300,
        "n_embd": 3072,
        "n_layer": 9,
        "n_head": 2,
    }
    (folder / "config.json").write_text(json.dumps(config))
    entries = [entry for entry in stored(folder) if entry.path != "model.safetensors"]
    shapes = read_architecture(config).shapes
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    entry = FileEntry("model.safetensors", 8 + len(text) + at, "12" * 32)
    path = Path(default_storage.path(Blob(sha256=entry.sha256).storage_name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with path.open("r+b") as file:
        file.truncate(entry.size)
    assert entry.size > 4 * 10**9
    found = inspect_stored([*entries, entry])
    assert found.problems == ()
    assert (found.size > entry.size, found.parameters) == (True, at // 4)


def test_of_a_storage_that_is_no_folder_headers_and_small_files_are_fetched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = InMemoryStorage()
    entries = stored(folder)
    for entry in entries:
        storage.save(Blob(sha256=entry.sha256).storage_name, ContentFile((folder / entry.path).read_bytes()))
    monkeypatch.setattr(inspection, "default_storage", storage)
    assert inspect_stored(entries) == inspect(folder)


def test_names_that_no_release_has_are_refused_before_a_file_is_opened() -> None:
    entries = [FileEntry(path, 5, "00" * 32) for path in ("../../etc/cron.d/x", "a\0b", "config.json")]
    assert [problem.code for problem in inspect_stored(entries).problems] == ["bad_path", "bad_path"]
    many = [FileEntry(f"{number}.png", 5, "00" * 32) for number in range(100_000)]
    started = time.monotonic()
    assert [problem.code for problem in inspect_stored(many).problems] == ["too_many_files"]
    assert time.monotonic() - started < 60


def test_an_adapter_comes_back_with_its_base(tmp_path: Path) -> None:
    found = inspect(write_release(tmp_path / "adapter", "adapter"))
    assert found.problems == ()
    assert (found.base_digest, found.architecture, found.parameters) == (BASE_DIGEST, "", 4 * 8 + 24 * 4)
    assert found.adapter is not None
    assert found.adapter.modules == {"transformer.h.0.attn.c_attn": (8, 24)}


def test_a_machine_without_namespaces_is_told_of_in_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(job: bytes, answer: Any, complaint: Any, *, timeout_s: float) -> int:
        answer.write(b'{"stage": "files", "isolation": ""}\n{"sta')
        return -9

    monkeypatch.setattr(inspection, "_run_child", answer)
    assert isinstance(inspect(folder), Inspection)
    assert "no network namespace" in caplog.text
