"""What may be in a release, and how a folder is told what is wrong with it."""

from __future__ import annotations

import json
import pickle
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.architectures import ConfigError, read_architecture
from inference.manifest import (
    CONVERT,
    Adapter,
    FileEntry,
    Problem,
    check_adapter,
    check_path,
    hash_file,
    inspect_folder,
    release_digest,
)
from tests.house.tree import ROOT
from tests.inference.conftest import CONTEXT, VOCAB, tiny_model


@pytest.fixture
def release(folder: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(folder, tmp_path / "release"))


def problems(folder: Path) -> dict[str, Problem]:
    return {problem.code: problem for problem in inspect_folder(folder).problems}


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_good_folder_is_described_and_has_no_problems(release: Path, family: str) -> None:
    report = inspect_folder(release)
    assert report.problems == ()
    assert report.architecture == {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM"}[family]
    assert (report.vocab_size, report.context_length) == (VOCAB, CONTEXT)
    assert report.parameters == sum(p.numel() for p in tiny_model(family).parameters())
    assert {file.path for file in report.files} == {item.name for item in release.iterdir()}


def test_the_digest_depends_on_every_file_and_not_on_their_order() -> None:
    files = [FileEntry("b.json", 3, "ab" * 32), FileEntry("a.json", 5, "cd" * 32)]
    digest = release_digest(files)
    assert digest == release_digest(files[::-1])
    assert (
        digest
        == "sha256:"
        + __import__("hashlib")
        .sha256(f"gpt-store release 1\n{'cd' * 32} 5 a.json\n{'ab' * 32} 3 b.json\n".encode())
        .hexdigest()
    )
    others = [FileEntry("b.json", 4, "ab" * 32), FileEntry("c.json", 3, "ab" * 32), FileEntry("b.json", 3, "ef" * 32)]
    assert digest not in {release_digest([other, files[1]]) for other in others}


def test_a_malformed_entry_has_no_digest() -> None:
    entry = FileEntry("a.json", 3, "ab" * 32)
    for files in ([entry, entry], [FileEntry("a\n.json", 3, "ab" * 32)], [FileEntry("a.json", 3, "AB")]):
        with pytest.raises(ValueError, match=r"twice|malformed"):
            release_digest(files)


@pytest.mark.parametrize(
    "path", ["../config.json", "/config.json", "a/config.json", ".hidden", "a\nb.json", "-rf", "ü.json", "x" * 200]
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    found = check_path(path)
    assert found is not None
    assert found.code == "bad_path"


@pytest.mark.parametrize("path", ["pytorch_model.bin", "model.pth", "model.PT", "x.pkl", "x.ckpt"])
def test_a_pickle_is_refused_with_the_two_lines_that_convert_it(path: str) -> None:
    found = check_path(path)
    assert found is not None
    assert found.code == "pickle"
    assert CONVERT.format(path=path) in found.message
    assert len(CONVERT.splitlines()) == 2


def test_the_second_line_converts(gpt2_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(load_file(gpt2_folder / "model.safetensors"), tmp_path / "pytorch_model.bin")
    monkeypatch.chdir(tmp_path)
    line = CONVERT.format(path="pytorch_model.bin").replace("YOUR_BASE_MODEL", str(gpt2_folder)).splitlines()[1]
    command = [sys.executable, *shlex.split(line)[1:]]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)})
    assert problems(tmp_path / "converted") == {}


def test_a_file_of_no_use_here_is_refused() -> None:
    for path, code in (
        ("modeling_evil.py", "not_allowed"),
        ("model.onnx", "not_allowed"),
        ("model.gguf", "gguf"),
        ("archive.zip", "archive"),
    ):
        found = check_path(path)
        assert found is not None
        assert found.code == code


def test_a_pickle_under_another_name_is_found_by_its_bytes(release: Path) -> None:
    (release / "README.md").write_bytes(pickle.dumps({"a": 1}))
    assert problems(release).keys() == {"pickle"}
    torch.save({"a": torch.zeros(2)}, release / "README.md")
    assert problems(release).keys() == {"pickle"}


def test_a_git_lfs_pointer_is_not_the_file(release: Path) -> None:
    (release / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    assert "lfs_pointer" in problems(release)


def test_links_and_folders_are_refused(release: Path) -> None:
    (release / "README.md").symlink_to("/etc/passwd")
    (release / "sub").mkdir()
    found = [problem for problem in inspect_folder(release).problems if problem.code == "not_a_file"]
    assert [problem.path for problem in found] == ["README.md", "sub"]
    assert "README.md" not in {file.path for file in inspect_folder(release).files}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_what_is_missing_is_named(release: Path, name: str) -> None:
    (release / name).unlink()
    assert problems(release)["missing"].path == name


@pytest.mark.parametrize("text", ["{", "[]", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 100_000, "\xff"])
def test_json_that_is_not_is_refused(release: Path, text: str) -> None:
    (release / "config.json").write_bytes(text.encode("latin-1"))
    assert problems(release)["bad_json"].path == "config.json"


def test_code_in_the_config_is_refused(release: Path) -> None:
    edit(release / "config.json", auto_map={"AutoModelForCausalLM": "modeling.Evil"})
    assert "auto_map" in problems(release)["bad_config"].message


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["BertModel"]},
        {"architectures": None},
        {"model_type": "bert"},
        {"vocab_size": 10**12},
        {"vocab_size": True},
        {"n_layer": 0},
        {"n_embd": "32"},
        {"n_head": 5},
        {"quantization_config": {"bits": 4}},
        {"num_labels": 10**9},
    ],
)
def test_a_config_out_of_bounds_is_refused(changes: dict[str, Any]) -> None:
    config = tiny_model("gpt2").config.to_dict() | {"architectures": ["GPT2LMHeadModel"]}
    assert read_architecture(config).vocab_size == VOCAB
    with pytest.raises(ConfigError):
        read_architecture(config | changes)


@pytest.mark.parametrize(
    "changes",
    [{"num_key_value_heads": 3}, {"head_dim": 7}, {"rope_scaling": {"rope_type": "dynamic"}}, {"rope_parameters": 5}],
)
def test_a_llama_config_out_of_bounds_is_refused(changes: dict[str, Any]) -> None:
    config = tiny_model("llama").config.to_dict() | {"architectures": ["LlamaForCausalLM"]}
    assert read_architecture(config).context_length == CONTEXT
    with pytest.raises(ConfigError):
        read_architecture(config | changes)


def test_weights_that_lack_a_layer_are_refused(release: Path) -> None:
    weights = load_file(release / "model.safetensors")
    lost = next(name for name in sorted(weights) if ".1." in name)
    del weights[lost]
    save_file(weights, release / "model.safetensors")
    assert lost in problems(release)["weights_missing"].message


def test_weights_of_another_shape_are_refused(release: Path, family: str) -> None:
    edit(release / "config.json", **{"n_layer" if family == "gpt2" else "num_hidden_layers": 3})
    assert "weights_missing" in problems(release)
    edit(
        release / "config.json", **{"n_layer" if family == "gpt2" else "num_hidden_layers": 2, "vocab_size": VOCAB + 1}
    )
    assert "weights_differ" in problems(release)


def test_bare_names_of_old_gpt2_files_are_understood(gpt2_folder: Path, tmp_path: Path) -> None:
    release = Path(shutil.copytree(gpt2_folder, tmp_path / "release"))
    weights = load_file(release / "model.safetensors")
    save_file(
        {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}, release / "model.safetensors"
    )
    assert problems(release) == {}


def test_weights_in_parts_need_their_index(release: Path) -> None:
    weights = load_file(release / "model.safetensors")
    (release / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, release / file)
    assert problems(release)["missing"].path == "model.safetensors.index.json"
    weight_map = {name: file for file, part in parts.items() for name in part}
    (release / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert problems(release) == {}
    (release / "model-00002-of-00002.safetensors").unlink()
    assert problems(release)["missing_shard"].path == "model-00002-of-00002.safetensors"


def test_a_tokenizer_of_another_model_is_refused(release: Path) -> None:
    tokenizer = json.loads((release / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({"id": VOCAB + 7, "content": "<|far|>", "special": True})
    (release / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert str(VOCAB + 7) in problems(release)["tokenizer_differs"].message
    (release / "tokenizer.json").write_text("{}")
    assert "bad_tokenizer" in problems(release)


@pytest.mark.parametrize(("hashed", "most"), [(False, 1.05), (True, 0.05)])
def test_every_byte_is_read_once_and_none_of_known_weights(
    gpt2_folder: Path, tmp_path: Path, hashed: bool, most: float
) -> None:
    """Counted by the kernel, in a process that does nothing else."""
    release = Path(shutil.copytree(gpt2_folder, tmp_path / "release"))
    large = {"big": torch.zeros(5_000_000)}
    save_file(load_file(release / "model.safetensors") | large, release / "model.safetensors")
    size = sum(path.stat().st_size for path in release.iterdir())
    code = f"""
from pathlib import Path
from inference.manifest import FileEntry, inspect_folder
folder = Path({str(release)!r})
known = {{p.name: FileEntry(p.name, p.stat().st_size, "ab" * 32) for p in folder.iterdir()}} if {hashed} else None
def read():
    return int(Path("/proc/self/io").read_text().split()[1])
before = read()
problems = inspect_folder(folder, hashes=known).problems
print(read() - before, *(problem.code for problem in problems))
"""
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert said[1:] == ["weights_unknown"]
    assert int(said[0]) <= most * size


def test_far_too_many_files_are_told_of_at_once(tmp_path: Path) -> None:
    for number in range(10_000):
        (tmp_path / f"{number}.png").touch()
    started = time.monotonic()
    assert problems(tmp_path).keys() == {"too_many_files"}
    assert time.monotonic() - started < 60  # listed, and none of them opened


def test_an_adapter_is_compared_with_its_base(gpt2_folder: Path) -> None:
    config = json.loads((gpt2_folder / "config.json").read_text())

    def heard(modules: dict[str, tuple[int, int]], tokens: int = 0, **changes: Any) -> list[str]:
        adapter = Adapter(base_name="acme/bard", base_digest="", modules=modules, parameters=1, tokens=tokens)
        return [problem.code for problem in check_adapter(adapter, config | changes)]

    fits = {"transformer.h.0.attn.c_attn": (32, 96)}
    assert heard(fits) == []
    assert heard({"transformer.h.7.attn.c_attn": (32, 96)}) == ["base_differs"]
    assert heard({"transformer.h.0.attn.c_attn": (96, 32)}) == ["base_differs"]
    assert heard(fits, tokens=VOCAB + 1) == ["tokenizer_differs"]
    assert heard(fits, vocab_size=0) == ["base_differs"]


def test_hash_file_reads_size_and_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert hash_file(tmp_path / "a") == FileEntry(
        "a", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
