"""The Hub protocol, by the Hub's own client and by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, default_storage
from django.test import Client
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError
from pytest_django import Settings

from store.accounts.models import Membership, Organization, User
from store.catalog.actions import publish_folder
from store.catalog.models import Release
from store.hub.tokens import read_release_token, release_token
from tests.store.catalog.conftest import PRICE
from tests.store.catalog.folders import write_folder


def weights_url(endpoint: str, release: Release) -> str:
    return f"{endpoint}/acme/tiny/resolve/{release.digest}/model.safetensors"


def bearer(release: Release) -> dict[str, str]:
    return {"Authorization": f"Bearer {release_token(release)}"}


@pytest.mark.parametrize("revision", ["digest", "main", "commit", "hex"])
def test_snapshot_download_fetches_every_file_whole(
    release: Release, endpoint: str, folder: Path, tmp_path: Path, revision: str
) -> None:
    hexadecimal = release.digest.removeprefix("sha256:")
    named = {"digest": release.digest, "main": "main", "commit": hexadecimal[:40], "hex": hexadecimal}[revision]
    got = Path(
        snapshot_download(
            "acme/tiny", revision=named, endpoint=endpoint, token=release_token(release), cache_dir=tmp_path / "cache"
        )
    )
    assert {path.name: path.read_bytes() for path in got.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_the_client_can_check_what_it_got(release: Release, endpoint: str, tmp_path: Path) -> None:
    token = release_token(release)
    snapshot_download("acme/tiny", endpoint=endpoint, token=token, local_dir=tmp_path / "copy")
    checked = HfApi(endpoint=endpoint, token=token).verify_repo_checksums("acme/tiny", local_dir=tmp_path / "copy")
    assert checked.checked_count == 5
    assert checked.mismatches == []


def test_model_info_names_the_commit_and_the_files(release: Release, endpoint: str, folder: Path) -> None:
    info = HfApi(endpoint=endpoint, token=release_token(release)).model_info("acme/tiny")
    assert info.sha == release.digest.removeprefix("sha256:")[:40]
    assert {sibling.rfilename: sibling.size for sibling in info.siblings or []} == {
        p.name: p.stat().st_size for p in folder.iterdir()
    }


def test_a_file_that_is_not_there_is_an_entry_not_found(release: Release, endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download(
            "acme/tiny", "nothing.json", endpoint=endpoint, token=release_token(release), cache_dir=tmp_path
        )


def test_the_etag_is_the_sha256_and_a_head_says_the_length(release: Release, endpoint: str, folder: Path) -> None:
    head = httpx.head(weights_url(endpoint, release), headers=bearer(release))
    content = (folder / "model.safetensors").read_bytes()
    assert head.status_code == 200
    assert head.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert head.headers["content-length"] == str(len(content))
    assert head.headers["x-repo-commit"] == release.digest.removeprefix("sha256:")[:40]


@pytest.mark.parametrize(
    ("asked", "part"), [("bytes=0-9", slice(0, 10)), ("bytes=10-", slice(10, None)), ("bytes=-7", slice(-7, None))]
)
def test_a_range_is_answered_with_that_part(
    release: Release, endpoint: str, folder: Path, asked: str, part: slice
) -> None:
    content = (folder / "model.safetensors").read_bytes()
    answer = httpx.get(weights_url(endpoint, release), headers=bearer(release) | {"Range": asked})
    assert answer.status_code == 206
    assert answer.content == content[part]
    begin = part.indices(len(content))[0]
    assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(answer.content) - 1}/{len(content)}"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_outside_of_the_file_is_416_with_the_size(
    release: Release, endpoint: str, folder: Path, asked: str
) -> None:
    answer = httpx.get(weights_url(endpoint, release), headers=bearer(release) | {"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{(folder / 'model.safetensors').stat().st_size}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-"])
def test_a_range_that_we_do_not_know_is_the_whole_file(
    release: Release, endpoint: str, folder: Path, asked: str
) -> None:
    answer = httpx.get(weights_url(endpoint, release), headers=bearer(release) | {"Range": asked})
    assert answer.status_code == 200
    assert answer.content == (folder / "model.safetensors").read_bytes()


def test_a_range_of_other_content_is_the_whole_file(release: Release, endpoint: str, folder: Path) -> None:
    headers = bearer(release) | {"Range": "bytes=5-", "If-Range": '"another"'}
    assert (
        httpx.get(weights_url(endpoint, release), headers=headers).content
        == (folder / "model.safetensors").read_bytes()
    )


def test_without_a_token_nothing_is_told(release: Release, endpoint: str, tmp_path: Path) -> None:
    for path in ("/api/models/acme/tiny", "/api/models/acme/tiny/tree/main", "/acme/tiny/resolve/main/README.md"):
        answer = httpx.get(endpoint + path)
        assert (answer.status_code, answer.headers["x-error-code"]) == (401, "RepoNotFound")
    with pytest.raises(RepositoryNotFoundError):
        snapshot_download("acme/tiny", endpoint=endpoint, token=False, cache_dir=tmp_path)


def test_a_token_opens_its_own_release_only(release: Release, endpoint: str, tmp_path: Path) -> None:
    other = publish_folder(
        organization=release.listing.organization,
        user=None,
        folder=write_folder(tmp_path / "x", seed=5),
        slug="other",
        price=PRICE,
    )
    newer = publish_folder(
        organization=release.listing.organization,
        user=None,
        folder=write_folder(tmp_path / "y", seed=6),
        slug="tiny",
        price=PRICE,
    )
    for stranger in (other, newer):
        assert httpx.get(weights_url(endpoint, release), headers=bearer(stranger)).status_code == 404
    assert httpx.get(weights_url(endpoint, release), headers=bearer(release)).status_code == 200


@pytest.mark.parametrize("token", ["nonsense", "1:2:3", "1"])
def test_a_forged_token_is_401(release: Release, endpoint: str, token: str) -> None:
    answer = httpx.get(weights_url(endpoint, release), headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.json()["code"] == "hub_token_required"


def test_a_token_expires(release: Release, settings: Settings) -> None:
    token = release_token(release)
    assert read_release_token(token) == release.pk
    settings.RELEASE_TOKEN_S = -1
    assert read_release_token(token) is None


def test_a_signed_in_member_of_the_owner_may_download_and_a_stranger_sees_nothing(
    release: Release, settings: Settings
) -> None:
    member, stranger = User.objects.create_user("member@example.com"), User.objects.create_user("stranger@example.com")
    Membership.objects.create(organization=Organization.objects.get(slug="acme"), user=member)
    statuses = []
    for user in (member, stranger):
        client = Client()
        client.force_login(user)
        statuses.append(client.head("/acme/tiny/resolve/main/README.md").status_code)
    assert statuses == [200, 404]


@pytest.mark.parametrize("path", ["..%2F..%2Fetc%2Fpasswd", "../config.json", "%00", "config.json/x"])
def test_a_path_out_of_the_release_is_not_found(release: Release, endpoint: str, path: str) -> None:
    answer = httpx.get(f"{endpoint}/acme/tiny/resolve/main/{path}", headers=bearer(release))
    assert answer.status_code in (400, 404)


def test_only_safe_methods_are_allowed(release: Release, endpoint: str) -> None:
    assert httpx.post(weights_url(endpoint, release), headers=bearer(release)).status_code in (403, 405)


class FarStorage(InMemoryStorage):
    """A storage that is not a folder here, as S3 is: it hands out addresses that are good for a while."""

    def url(self, name: str | None) -> str:
        return f"https://files.example/{name}?signature=1"


def test_from_a_remote_storage_the_client_is_sent_there(release: Release, settings: Settings) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "tests.store.hub.test_hub.FarStorage"}}
    default_storage.save("anything", ContentFile(b""))
    answer = Client(headers=bearer(release)).get(f"/acme/tiny/resolve/{release.digest}/config.json")
    sha256 = release.files.get(path="config.json").blob_id
    assert answer.status_code == 302
    assert answer["Location"] == f"https://files.example/blobs/{sha256[:2]}/{sha256}?signature=1"
    assert answer["X-Linked-Etag"] == f'"{sha256}"'
