"""Files on their way to a store whose connections break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.errors import SendFailed
from inference.manifest import hash_file
from inference.sending import send_file
from tests.workers.fake_store import TOKEN, FakeStore


@pytest.fixture
def store() -> Iterator[FakeStore]:
    made = FakeStore()
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(range(256)) * 20_000)
    return path


def send(store: FakeStore, file: Path, *, token: str = TOKEN) -> None:
    send_file(file, hash_file(file), url=f"{store.url}/uploads", organization="acme", token=token)


def test_a_file_arrives_whole_although_the_connection_broke_twice(
    store: FakeStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.sending.RETRY_S", 0.01)
    store.cuts = 2
    send(store, file)
    assert store.files == {"model.safetensors": file.read_bytes()}
    assert store.organizations == {"acme"}


def test_what_the_store_has_already_is_not_sent(store: FakeStore, file: Path) -> None:
    store.known.add("model.safetensors")
    send(store, file)
    assert store.files == {"model.safetensors": b""}


def test_a_refusal_is_told_at_once_and_an_absent_store_after_a_while(store: FakeStore, file: Path) -> None:
    with pytest.raises(SendFailed, match="403"):
        send(store, file, token="wrong")
    with pytest.raises(SendFailed, match="could not be sent"):
        send_file(file, hash_file(file), url="http://127.0.0.1:9/uploads", organization="acme", token=TOKEN)


def test_a_connection_that_always_breaks_is_given_up(
    store: FakeStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.sending.RETRY_S", 0.0)
    store.cuts = 100
    with pytest.raises(SendFailed, match=r"model\.safetensors"):
        send(store, file)
