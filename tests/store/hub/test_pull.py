"""How workers and members fetch a release, by the Hub's own client and by hand."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, default_storage
from django.test import Client
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from pytest_django import Settings

from store.catalog.actions.repositories import delete_listing
from store.catalog.models import Release, Weights
from store.hub.reads import release_commit
from store.hub.tokens import read_release_token, release_token
from store.hub.views import downloads
from tests.store.catalog.folders import write_folder
from tests.store.hub.conftest import Hub


@pytest.fixture(scope="module")
def release(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """``acme/tiny``, whose weights are closed: what workers get with the token of its release."""
    return hub.publish(write_folder(tmp_path_factory.mktemp("tiny")), "tiny", weights=Weights.CLOSED)


def commit_of(release: Release) -> str:
    commit = release_commit(release)
    assert commit is not None
    return commit.oid


def weights_url(hub: Hub, release: Release) -> str:
    return f"{hub.url}/acme/tiny/resolve/{release.digest}/model.safetensors"


def bearer(release: Release) -> dict[str, str]:
    return {"Authorization": f"Bearer {release_token(release)}"}


@pytest.mark.parametrize("revision", ["digest", "main", "commit", "hex", "40 hex"])
def test_snapshot_download_fetches_every_file_whole(
    hub: Hub, release: Release, folder: Path, tmp_path: Path, revision: str
) -> None:
    hexadecimal = release.digest.removeprefix("sha256:")
    named = {
        "digest": release.digest, "main": "main", "commit": commit_of(release), "hex": hexadecimal, "40 hex": hexadecimal[:40],
    }[revision]  # fmt: skip
    token = release_token(release)
    got = Path(
        snapshot_download("acme/tiny", revision=named, endpoint=hub.url, token=token, cache_dir=tmp_path / "cache")
    )
    assert {path.name: path.read_bytes() for path in got.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_the_client_can_check_what_it_got(hub: Hub, release: Release, tmp_path: Path) -> None:
    token = release_token(release)
    snapshot_download("acme/tiny", endpoint=hub.url, token=token, local_dir=tmp_path / "copy")
    checked = HfApi(endpoint=hub.url, token=token).verify_repo_checksums("acme/tiny", local_dir=tmp_path / "copy")
    assert checked.checked_count == 5
    assert checked.mismatches == []


def test_model_info_names_the_commit_and_the_files(hub: Hub, release: Release, folder: Path) -> None:
    info = HfApi(endpoint=hub.url, token=release_token(release)).model_info("acme/tiny", files_metadata=True)
    assert info.sha == commit_of(release)
    assert {sibling.rfilename: sibling.size for sibling in info.siblings or []} == {
        p.name: p.stat().st_size for p in folder.iterdir()
    }


def test_a_file_that_is_not_there_is_an_entry_not_found(hub: Hub, release: Release, tmp_path: Path) -> None:
    token = release_token(release)
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("acme/tiny", "nothing.json", endpoint=hub.url, token=token, cache_dir=tmp_path)


def test_the_etag_is_the_sha256_and_a_head_says_the_length(hub: Hub, release: Release, folder: Path) -> None:
    head = httpx.head(weights_url(hub, release), headers=bearer(release))
    content = (folder / "model.safetensors").read_bytes()
    assert head.status_code == 200
    assert head.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert head.headers["content-length"] == str(len(content))
    assert head.headers["x-repo-commit"] == commit_of(release)


def test_who_has_the_content_is_told_so_and_no_more(hub: Hub, release: Release) -> None:
    etag = httpx.head(weights_url(hub, release), headers=bearer(release)).headers["etag"]
    again = httpx.get(weights_url(hub, release), headers=bearer(release) | {"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    ("asked", "part"), [("bytes=0-9", slice(0, 10)), ("bytes=10-", slice(10, None)), ("bytes=-7", slice(-7, None))]
)
def test_a_range_is_answered_with_that_part(hub: Hub, release: Release, folder: Path, asked: str, part: slice) -> None:
    content = (folder / "model.safetensors").read_bytes()
    answer = httpx.get(weights_url(hub, release), headers=bearer(release) | {"Range": asked})
    assert answer.status_code == 206
    assert answer.content == content[part]
    begin = part.indices(len(content))[0]
    assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(answer.content) - 1}/{len(content)}"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_outside_of_the_file_is_416_with_the_size(hub: Hub, release: Release, folder: Path, asked: str) -> None:
    answer = httpx.get(weights_url(hub, release), headers=bearer(release) | {"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{(folder / 'model.safetensors').stat().st_size}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-"])
def test_a_range_that_we_do_not_know_is_the_whole_file(hub: Hub, release: Release, folder: Path, asked: str) -> None:
    answer = httpx.get(weights_url(hub, release), headers=bearer(release) | {"Range": asked})
    assert answer.status_code == 200
    assert answer.content == (folder / "model.safetensors").read_bytes()


def test_a_range_of_other_content_is_the_whole_file(hub: Hub, release: Release, folder: Path) -> None:
    headers = bearer(release) | {"Range": "bytes=5-", "If-Range": '"another"'}
    whole = httpx.get(weights_url(hub, release), headers=headers)
    assert whole.content == (folder / "model.safetensors").read_bytes()


def test_a_download_whose_connection_breaks_goes_on_where_it_ended(
    hub: Hub, release: Release, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, asked = (folder / "model.safetensors").read_bytes(), []
    whole = downloads.stream

    async def broken_once(path: str, begin: int, end: int) -> AsyncIterator[bytes]:
        asked.append((begin, end))
        async for chunk in whole(path, begin, 5000 if len(asked) == 1 else end):
            yield chunk
        if len(asked) == 1:
            raise ConnectionResetError

    monkeypatch.setattr(downloads, "stream", broken_once)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # what the client writes down at a time
    token = release_token(release)
    got = hf_hub_download("acme/tiny", "model.safetensors", endpoint=hub.url, token=token, cache_dir=tmp_path)
    assert Path(got).read_bytes() == content
    assert asked == [(0, len(content)), (5000, len(content))]


def test_a_token_opens_its_own_release_only(hub: Hub, release: Release, tmp_path: Path) -> None:
    other = hub.publish(write_folder(tmp_path / "x", seed=5), "other")
    assert httpx.get(weights_url(hub, release), headers=bearer(other)).status_code == 404
    newer = hub.publish(write_folder(tmp_path / "y", seed=6), "other")
    api = HfApi(endpoint=hub.url, token=release_token(other))
    assert api.model_info("acme/other").sha == commit_of(other)  # its own, whatever is current
    with pytest.raises(RevisionNotFoundError):
        api.model_info("acme/other", revision=newer.digest)
    with pytest.raises(RepositoryNotFoundError):
        api.create_tag("acme/other", tag="mine")
    assert httpx.get(weights_url(hub, release), headers=bearer(release)).status_code == 200


def test_what_is_deleted_can_be_fetched_by_the_worker_of_a_call_that_is_under_way(hub: Hub, tmp_path: Path) -> None:
    release = hub.publish(write_folder(tmp_path / "gone", seed=8), "gone")
    delete_listing(listing=release.listing, user=hub.provider)
    token = release_token(release)
    got = snapshot_download(
        "acme/gone", revision=release.digest, endpoint=hub.url, token=token, cache_dir=tmp_path / "cache"
    )
    assert len(list(Path(got).iterdir())) == 5
    with pytest.raises(RepositoryNotFoundError):
        hub.api(hub.provider).model_info("acme/gone")


@pytest.mark.parametrize("token", ["nonsense", "1:2:3", "1", "gsu_12345678_12345678901234567890123456789012_123456"])
def test_a_forged_token_is_401(hub: Hub, release: Release, token: str) -> None:
    answer = httpx.get(weights_url(hub, release), headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.json()["code"] == "hub_bad_credentials"
    assert "x-error-code" not in answer.headers  # or the client would say that the repository is not there


def test_a_token_expires(hub: Hub, release: Release, settings: Settings) -> None:
    token = release_token(release)
    assert read_release_token(token) == release.pk
    settings.RELEASE_TOKEN_S = -1
    assert read_release_token(token) is None


def test_a_signed_in_member_of_the_owner_may_download_and_a_stranger_may_not(hub: Hub, release: Release) -> None:
    statuses = []
    for user in (hub.viewer, hub.stranger):
        client = Client()
        client.force_login(user)
        statuses.append(client.head("/acme/tiny/resolve/main/model.safetensors").status_code)
    assert statuses == [200, 403]


def test_a_session_changes_nothing(hub: Hub, release: Release) -> None:
    client = Client()
    client.force_login(hub.provider)
    answer = client.post("/api/models/acme/tiny/branch/mine", "{}", content_type="application/json")
    assert answer.status_code == 403
    assert not release.listing.refs.filter(name="mine").exists()


@pytest.mark.parametrize("path", ["..%2F..%2Fetc%2Fpasswd", "../config.json", "%00", "config.json/x", "%F0%9F%92%A5"])
def test_a_path_out_of_the_release_is_not_found(hub: Hub, release: Release, path: str) -> None:
    answer = httpx.get(f"{hub.url}/acme/tiny/resolve/main/{path}", headers=bearer(release))
    assert answer.status_code in (400, 404)


def test_only_safe_methods_are_allowed(hub: Hub, release: Release) -> None:
    assert httpx.post(weights_url(hub, release), headers=bearer(release)).status_code == 405


def test_downloads_by_others_are_counted(hub: Hub, tmp_path: Path) -> None:
    release = hub.publish(write_folder(tmp_path / "counted", seed=9), "counted")
    for number, token in enumerate([hub.token(hub.stranger), False, hub.token(hub.viewer), release_token(release)]):
        snapshot_download("acme/counted", endpoint=hub.url, token=token, cache_dir=tmp_path / f"cache-{number}")
    info = hub.api(None).model_info("acme/counted")
    assert info.downloads == 2  # not the member's, nor the worker's


class FarStorage(InMemoryStorage):
    """A storage that is not a folder here, as S3 is: it hands out addresses that are good for a while."""

    def url(self, name: str | None) -> str:
        return f"https://files.example/{name}?signature=1"


def test_from_a_remote_storage_the_client_is_sent_there(hub: Hub, release: Release, settings: Settings) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "tests.store.hub.test_pull.FarStorage"}}
    default_storage.save("anything", ContentFile(b""))
    answer = Client(headers=bearer(release)).get(f"/acme/tiny/resolve/{release.digest}/config.json")
    sha256 = release.files.get(path="config.json").blob_id
    assert answer.status_code == 302
    assert answer["Location"] == f"https://files.example/blobs/{sha256[:2]}/{sha256}?signature=1"
    assert answer["X-Linked-Etag"] == f'"{sha256}"'
