"""Pulling a release from a Hub that is honest, slow, away, or lying."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference import wire
from inference.errors import DigestMismatch, PullFailed
from inference.manifest import FileEntry, hash_file, inspect_folder, release_digest
from inference.weights import pull_release
from tests.inference.fake_hub import TOKEN, FakeHub


@pytest.fixture
def hub(gpt2_folder: Path) -> Iterator[FakeHub]:
    made = FakeHub(gpt2_folder, inspect_folder(gpt2_folder).digest)
    yield made
    made.close()


def ref_of(hub: FakeHub, **changes: str) -> wire.ReleaseRef:
    size = sum(map(len, hub.files.values()))
    told = {"digest": hub.revision, "repo_id": "acme/bard", "endpoint": hub.endpoint, "token": TOKEN} | changes
    return wire.ReleaseRef(size=size, **told)


def test_a_release_is_pulled_checked_and_put_in_place(hub: FakeHub, tmp_path: Path) -> None:
    shares: list[float] = []
    folder = pull_release(ref_of(hub), tmp_path, on_progress=shares.append)
    assert folder == tmp_path / hub.revision.removeprefix("sha256:")
    assert {item.name: item.read_bytes() for item in folder.iterdir()} == hub.files
    assert shares[-1] == 1.0
    assert not list((tmp_path / ".partial").glob("*/*"))


def test_a_second_pull_asks_nobody(hub: FakeHub, tmp_path: Path) -> None:
    folder = pull_release(ref_of(hub), tmp_path)
    hub.down = True
    assert pull_release(ref_of(hub), tmp_path) == folder


def test_a_tampered_file_is_deleted_and_never_in_place(hub: FakeHub, tmp_path: Path) -> None:
    honest = hub.files["model.safetensors"]
    hub.files["model.safetensors"] = honest[:-1] + bytes([honest[-1] ^ 1])
    with pytest.raises(DigestMismatch, match="acme/bard"):
        pull_release(ref_of(hub), tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == [".partial"]
    assert not list((tmp_path / ".partial").glob("*/*"))
    hub.files["model.safetensors"] = honest
    assert pull_release(ref_of(hub), tmp_path).is_dir()


def test_a_file_that_is_missing_is_a_mismatch(hub: FakeHub, tmp_path: Path) -> None:
    del hub.files["tokenizer_config.json"]
    with pytest.raises(DigestMismatch):
        pull_release(ref_of(hub), tmp_path)


def test_a_pickle_beside_the_release_is_not_even_fetched(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["pytorch_model.bin"] = pickle.dumps({})
    folder = pull_release(ref_of(hub), tmp_path)
    assert not (folder / "pytorch_model.bin").exists()
    assert not any("pytorch_model.bin" in request for request in hub.requests)


def test_pictures_of_the_card_lie_in_a_folder_of_their_own(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["assets/plot.png"] = b"\x89PNG\r\n\x1a\n"
    hub.revision = release_digest(
        FileEntry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in hub.files.items()
    )
    folder = pull_release(ref_of(hub), tmp_path)
    assert (folder / "assets" / "plot.png").read_bytes() == hub.files["assets/plot.png"]


def test_a_pull_that_broke_is_taken_up_where_it_ended(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)
    hub.cut["model.safetensors"] = 50 * 1024
    folder = pull_release(ref_of(hub), tmp_path)
    assert hub.ranges == ["bytes=51200-"]
    assert release_digest(hash_file(item) for item in folder.iterdir()) == hub.revision


def test_a_pull_that_was_killed_is_taken_up_by_the_next(hub: FakeHub, tmp_path: Path) -> None:
    partial = tmp_path / ".partial" / hub.revision.removeprefix("sha256:")
    partial.mkdir(parents=True)
    for name in ("tokenizer.json", "model.safetensors"):
        (partial / name).write_bytes(hub.files[name][:1000])  # not marked as complete: fetched anew
    folder = pull_release(ref_of(hub), tmp_path)
    assert {item.name: item.read_bytes() for item in folder.iterdir()} == hub.files


def test_a_store_that_is_away_or_refuses_is_no_mismatch(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(PullFailed, match="acme/bard"):
        pull_release(ref_of(hub, token="wrong"), tmp_path)
    with pytest.raises(PullFailed):
        pull_release(ref_of(hub, endpoint="http://127.0.0.1:9"), tmp_path)
    hub.down = True
    with pytest.raises(PullFailed):
        pull_release(ref_of(hub), tmp_path)


@pytest.mark.parametrize("digest", ["sha256:../../etc", "abc", "sha256:" + "A" * 64])
def test_a_malformed_digest_names_no_folder(hub: FakeHub, tmp_path: Path, digest: str) -> None:
    with pytest.raises(PullFailed, match="malformed"):
        pull_release(ref_of(hub, digest=digest), tmp_path)


def test_a_release_larger_than_the_disk_is_not_begun(hub: FakeHub, tmp_path: Path) -> None:
    huge = wire.ReleaseRef(digest=hub.revision, repo_id="acme/bard", endpoint=hub.endpoint, token=TOKEN, size=2**60)
    with pytest.raises(PullFailed, match="disk"):
        pull_release(huge, tmp_path)
    assert not hub.requests


def _pull(ref: wire.ReleaseRef, cache: Path, results: multiprocessing.Queue[str]) -> None:
    results.put(str(pull_release(ref, cache)))


def test_two_processes_that_pull_at_once_fetch_once(hub: FakeHub, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str] = context.Queue()
    ref = ref_of(hub)
    processes = [context.Process(target=_pull, args=(ref, tmp_path, results)) for _ in range(2)]
    for process in processes:
        process.start()
    folders = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(timeout=10)
    assert folders == {str(tmp_path / hub.revision.removeprefix("sha256:"))}
    gets = [
        count
        for request, count in hub.requests.items()
        if request.startswith("GET") and request.endswith("model.safetensors")
    ]
    assert gets == [1]
