"""A worker that converts: a plain state dict becomes a release's files, anything else is refused with a sentence."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import torch
from celery import Celery
from safetensors.torch import load

from inference import wire
from inference.asking import Stopped
from inference.receiving import is_wanted
from tests.tiny_families import tiny_model, write_family
from tests.workers.fake_store import TOKEN, FakeStore
from tests.workers.hub import Hub
from tests.workers.listener import Listener
from tests.workers.processes import GpuWorker
from workers import convert as convert_module


@pytest.fixture
def store() -> Iterator[FakeStore]:
    made = FakeStore()
    yield made
    made.close()


@pytest.fixture(scope="module")
def base(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> wire.ReleaseRef:
    return hub.publish("tests/converted", write_family(tmp_path_factory.mktemp("bases") / "gpt2", "gpt2"))


def pickled(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def spec_of(store: FakeStore, base: wire.ReleaseRef, number: int, **changes: Any) -> wire.ConvertSpec:
    told = {
        "source_url": f"{store.url}/source", "source_name": "fine_tuned.pth", "source_size": len(store.source),
        "token": TOKEN, "source_sha256": hashlib.sha256(store.source).hexdigest(),
    }  # fmt: skip
    return wire.ConvertSpec(
        job_id=number, attempt=1, base=base, target_url=f"{store.url}/uploads", organization="acme",
        **{**told, **changes},
    )  # fmt: skip


def convert(listener: Listener, spec: wire.ConvertSpec) -> wire.ConversionReport:
    listener.send_conversion(spec)
    return listener.wait_for_conversion(spec)


def test_a_state_dict_becomes_files_of_the_organization(
    worker: GpuWorker, listener: Listener, store: FakeStore, base: wire.ReleaseRef
) -> None:
    model = tiny_model("gpt2", seed=99)
    store.source = pickled(model.state_dict())
    end = convert(listener, spec_of(store, base, 1))
    assert (end.status, end.error) == ("done", "")
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= end.files.keys() == store.files.keys()
    assert end.files == {name: hashlib.sha256(data).hexdigest() for name, data in store.files.items()}
    sent = load(bytes(store.files["model.safetensors"]))
    assert torch.equal(sent["transformer.wte.weight"], model.transformer.wte.weight)


def test_a_pickle_that_holds_more_than_tensors_is_refused_with_a_sentence(
    worker: GpuWorker, listener: Listener, store: FakeStore, base: wire.ReleaseRef
) -> None:
    store.source = pickled({"weights": torch.ones(2), "path": Path("/")})
    end = convert(listener, spec_of(store, base, 2))
    assert end.status == "refused"
    assert "more than tensors" in end.error
    assert store.files == {}


def test_a_child_ends_when_nobody_wants_it_any_more(
    store: FakeStore, base: wire.ReleaseRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert_module, "ASK_EVERY_S", 0.01)
    converter = convert_module.Converter(Celery(), redis.Redis())  # neither is asked for anything
    child = subprocess.Popen(["sleep", "600"])
    try:
        with pytest.raises(Stopped, match="cancelled"):
            converter._await(child, spec_of(store, base, 9, token="taken back"))
    finally:
        child.kill()
        child.wait()


def test_a_store_that_is_away_is_not_a_refusal(store: FakeStore) -> None:
    assert is_wanted(f"{store.url}/source", token=TOKEN)
    assert not is_wanted(f"{store.url}/source", token="taken back")
    assert is_wanted("http://127.0.0.1:9/source", token=TOKEN)


def test_what_is_not_the_promised_file_is_not_opened(
    worker: GpuWorker, listener: Listener, store: FakeStore, base: wire.ReleaseRef
) -> None:
    store.source = pickled({"a": torch.ones(2)})
    end = convert(listener, spec_of(store, base, 3, source_sha256="0" * 64))
    assert (end.status, "not the file that was promised" in end.error) == ("failed", True)
    end = convert(listener, spec_of(store, base, 4, token="wrong"))
    assert (end.status, "could not be fetched" in end.error) == ("failed", True)
