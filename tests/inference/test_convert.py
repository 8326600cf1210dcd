"""From what torch.save wrote to a release."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from inference.convert import convert_state_dict, main
from inference.errors import ConversionFailed
from inference.manifest import inspect_folder
from tests.house.tree import ROOT

State = dict[str, torch.Tensor]


class Evil:
    """Would leave a mark if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def state_of(folder: Path) -> State:
    return load_file(folder / "model.safetensors")


def saved(tmp_path: Path, made: Any) -> Path:
    torch.save(made, tmp_path / "fine_tuned_weights.pth")
    return tmp_path / "fine_tuned_weights.pth"


def converted(tmp_path: Path, made: Any, base: Path) -> State:
    """Converts, and the result is a release without a problem."""
    convert_state_dict(saved(tmp_path, made), base, tmp_path / "out")
    assert inspect_folder(tmp_path / "out").problems == ()
    return state_of(tmp_path / "out")


def refused(tmp_path: Path, source: Path, base: Path) -> str:
    with pytest.raises(ConversionFailed) as failed:
        convert_state_dict(source, base, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.safetensors"))
    return str(failed.value)


def prefixed(prefix: str) -> Callable[[State], Any]:
    return lambda state: {f"{prefix}{name}": tensor for name, tensor in state.items()}


def test_a_state_dict_becomes_the_release_that_it_was(folder: Path, tmp_path: Path) -> None:
    state = state_of(folder)
    made = converted(tmp_path, state, folder)
    assert made.keys() == state.keys()
    assert all(torch.equal(made[name], state[name]) for name in state)
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    "wrap",
    [
        prefixed("module."), prefixed("model."), prefixed("_orig_mod."), prefixed("module._orig_mod.model."),
        lambda state: {"state_dict": prefixed("model.")(state), "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}}, lambda state: {"ema": {"model": state}},
    ],
)  # fmt: skip
def test_wrappings_come_off(folder: Path, tmp_path: Path, wrap: Callable[[State], Any]) -> None:
    state = state_of(folder)
    assert converted(tmp_path, wrap(state), folder).keys() == state.keys()


def test_what_a_gpt2_keeps_besides_is_left_out(gpt2_folder: Path, tmp_path: Path) -> None:
    state = state_of(gpt2_folder)
    more = {"lm_head.weight": state["transformer.wte.weight"], "transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8)}
    assert converted(tmp_path, state | more, gpt2_folder).keys() == state.keys()


def test_a_head_that_was_trained_apart_is_tied_no_more(gpt2_folder: Path, tmp_path: Path) -> None:
    state = state_of(gpt2_folder)
    state["lm_head.weight"] = state["transformer.wte.weight"] + 1
    assert converted(tmp_path, state, gpt2_folder).keys() == state.keys()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is False


def test_matrices_of_nanogpt_are_turned(gpt2_folder: Path, tmp_path: Path) -> None:
    state = state_of(gpt2_folder)
    turned = {k: t.T if k.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")) else t for k, t in state.items()}
    made = converted(tmp_path, {"model": prefixed("_orig_mod.")(turned), "iter_num": 5}, gpt2_folder)
    assert all(torch.equal(made[name], state[name]) for name in state)


def test_a_longer_vocabulary_is_written_into_the_config(folder: Path, tmp_path: Path) -> None:
    state = state_of(folder)
    longer = {
        k: torch.cat([t, t[:3]]) if k.endswith(("wte.weight", "embed_tokens.weight", "lm_head.weight")) else t
        for k, t in state.items()
    }
    converted(tmp_path, longer, folder)
    before, now = (json.loads((place / "config.json").read_text()) for place in (folder, tmp_path / "out"))
    assert now["vocab_size"] == before["vocab_size"] + 3


def test_numbers_of_64_bits_become_32(gpt2_folder: Path, tmp_path: Path) -> None:
    made = converted(tmp_path, {k: t.double() for k, t in state_of(gpt2_folder).items()}, gpt2_folder)
    assert {tensor.dtype for tensor in made.values()} == {torch.float32}


def test_a_pickle_with_code_is_refused_and_not_run(gpt2_folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "owned"
    said = refused(tmp_path, saved(tmp_path, {"a": torch.zeros(1), "b": Evil(mark)}), gpt2_folder)
    assert "mkdir" in said
    assert "model.state_dict()" in said
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"GGUF" + bytes(60), "gguf_file="), (b"hello", "nothing that torch.save wrote"), (b"", "cut off"),
     (b"\x10\x02\0\0\0\0\0\0{}", "safetensors already"), (b"PK\x03\x04" + bytes(100), "cut off")],
)  # fmt: skip
def test_what_is_no_pickle_of_torch_is_named(gpt2_folder: Path, tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "weights.bin").write_bytes(content)
    assert word in refused(tmp_path, tmp_path / "weights.bin", gpt2_folder)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda state: [1, 2], "no weights by name"),
        (lambda state: {"epoch": 3}, "no weights by name"),
        (lambda state: dict(list(state.items())[:-1]), "lack"),
        (lambda state: state | {"critic.weight": torch.zeros(2)}, "critic.weight"),
        (lambda state: state | {"transformer.ln_f.bias": torch.zeros(1).expand(10**12)}, "[1000000000000]"),
        (lambda state: state | {"transformer.ln_f.bias": torch.zeros(32, dtype=torch.int8)}, "int8"),
        (lambda state: state | {"transformer.ln_f.bias": torch.zeros(32).to_sparse()}, "sparse"),
    ],
)
def test_weights_of_another_model_are_refused(
    gpt2_folder: Path, tmp_path: Path, change: Callable[[State], Any], word: str
) -> None:
    assert word in refused(tmp_path, saved(tmp_path, change(state_of(gpt2_folder))), gpt2_folder)


def test_a_folder_that_holds_something_is_not_written_into(gpt2_folder: Path, tmp_path: Path) -> None:
    source = saved(tmp_path, state_of(gpt2_folder))
    with pytest.raises(ConversionFailed, match="not empty"):
        convert_state_dict(source, gpt2_folder, tmp_path)


def test_on_the_command_line_a_failure_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.pth").write_bytes(b"hello")
    assert main([str(tmp_path / "x.pth"), "--base", str(tmp_path)]) == 1
    assert "has no config.json" in capsys.readouterr().err


def sandboxed(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "inference.convert", "--sandboxed", *arguments]
    done = subprocess.run(
        command,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) == (answer["error"] == ""), done.stderr
    return answer


def test_in_the_sandbox_it_converts_into_one_file(gpt2_folder: Path, tmp_path: Path) -> None:
    source = saved(tmp_path, state_of(gpt2_folder))
    said = sandboxed(str(source), "--base", str(gpt2_folder), "--out", str(tmp_path / "out"))
    assert said["error"] == ""
    assert said["isolation"] in ("namespace", "")
    assert [path for path in said["files"] if path.endswith(".safetensors")] == ["model.safetensors"]
    assert inspect_folder(tmp_path / "out").problems == ()


def test_in_the_sandbox_what_takes_too_much_is_an_error(gpt2_folder: Path, tmp_path: Path) -> None:
    source = saved(tmp_path, {"model": {"x": torch.zeros(50_000_000)}})
    said = sandboxed(
        str(source), "--base", str(gpt2_folder), "--out", str(tmp_path / "out"), "--memory-bytes", "700000000"
    )
    assert said["error"]
    assert not list((tmp_path / "out").glob("*.safetensors"))
