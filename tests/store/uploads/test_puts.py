"""Git LFS: a whole file by one PUT, or numbered parts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from pytest_django import Settings

from store.accounts.models import Organization
from store.uploads.actions import begin_upload, finish_upload
from store.uploads.errors import DigestMismatch, Incomplete, UploadGone
from store.uploads.links import upload_path, upload_url
from store.uploads.models import Upload, UploadStatus
from tests.store.uploads.conftest import committed as db
from tests.store.uploads.conftest import use_of
from tests.store.uploads.test_tus import DATA, kept
from tests.store.uploads.tus_client import MB, TusClient, content, sha256
from tests.waiting import await_that

__all__ = ["db"]


@pytest.fixture
def upload(organization: Organization) -> Upload:
    """DATA, whole."""
    return begin_upload(
        organization=organization,
        user=organization.personal_of,
        path="model.safetensors",
        size=len(DATA),
        sha256=sha256(DATA),
    )


@pytest.fixture
def parted(organization: Organization) -> Upload:
    """DATA in three parts of a MB and a fourth of seven bytes."""
    return begin_upload(
        organization=organization, user=organization.personal_of, path="model.safetensors", size=len(DATA), sha256=sha256(DATA),
        part_size=MB,
    )  # fmt: skip


def put_part(sender: TusClient, upload: Upload, number: int, data: bytes | None = None) -> httpx.Response:
    body = DATA[(number - 1) * MB : number * MB] if data is None else data
    return sender.http.put(upload_path(upload, number), content=body)


def test_a_link_is_on_the_public_address(upload: Upload, settings: Settings) -> None:
    assert upload_url(upload, 2) == f"{settings.PUBLIC_URL}{upload_path(upload)}/2"


def test_a_whole_file_is_finished_by_its_put(sender: TusClient, upload: Upload) -> None:
    answer = sender.http.put(upload_path(upload), content=DATA)
    assert (answer.status_code, answer.headers["ETag"]) == (200, f'"{sha256(DATA)}"')
    assert kept(DATA)
    assert sender.http.put(upload_path(upload), content=DATA).status_code == 200
    assert use_of(upload.organization) == (len(DATA), 0)


def test_a_file_that_is_cut_off_is_sent_again_from_its_beginning(sender: TusClient, upload: Upload) -> None:
    with pytest.raises(httpx.HTTPError):
        sender.http.put(upload_path(upload), content=broken(), headers={"Content-Length": str(len(DATA))})
    with pytest.raises(Incomplete):
        finish_upload(upload_id=upload.pk)
    assert sender.http.put(upload_path(upload), content=DATA).status_code == 200
    assert kept(DATA)


def broken() -> Iterator[bytes]:
    """A body whose sender dies in the middle."""
    yield DATA[:MB]
    raise httpx.ReadError("the cable")


def test_a_put_does_not_touch_what_came_by_tus(sender: TusClient, upload: Upload) -> None:
    """Else the digest that was taken of the stream would be that of other bytes."""
    sender.patch(upload_path(upload), 0, DATA[:MB])
    wrong = content(len(DATA), seed=9)
    with pytest.raises(httpx.HTTPError):
        sender.http.put(upload_path(upload), content=broken(), headers={"Content-Length": str(len(DATA))})
    assert sender.offset(upload_path(upload)) == MB
    assert sender.patch(upload_path(upload), MB, wrong[MB:]).status_code == 422


@pytest.mark.parametrize("size", [MB, len(DATA) + 1])
def test_a_whole_file_has_the_size_that_was_promised(sender: TusClient, upload: Upload, size: int) -> None:
    body = content(size)
    assert sender.http.put(upload_path(upload), content=body).status_code == 400
    assert sender.http.put(upload_path(upload), content=iter([body])).status_code in (409, 413)
    assert Upload.objects.get().status == UploadStatus.OPEN


def test_a_file_with_another_digest_is_refused(sender: TusClient, upload: Upload) -> None:
    answer = sender.http.put(upload_path(upload), content=content(len(DATA), seed=2))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "digest_mismatch")
    assert use_of(upload.organization) == (0, 0)
    with pytest.raises(UploadGone):
        finish_upload(upload_id=upload.pk)


def test_parts_come_in_any_order_and_at_the_same_time(sender: TusClient, parted: Upload) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: put_part(sender, parted, number), (4, 2, 3, 1)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.headers["ETag"] for answer in answers}) == 4
    blob = finish_upload(upload_id=parted.pk)
    assert blob
    assert blob.sha256 == sha256(DATA)
    assert kept(DATA)
    assert finish_upload(upload_id=parted.pk) == blob
    assert use_of(parted.organization) == (len(DATA), 0)


def test_a_missing_part_is_missed(sender: TusClient, parted: Upload) -> None:
    for number in (1, 2, 4):
        put_part(sender, parted, number)
    assert sender.offset(upload_path(parted)) == len(DATA) - MB
    with pytest.raises(Incomplete, match="1 of 4 parts"):
        finish_upload(upload_id=parted.pk)
    put_part(sender, parted, 3)
    assert finish_upload(upload_id=parted.pk)


def test_a_part_sent_again_is_the_last_one_that_came(sender: TusClient, parted: Upload) -> None:
    for number in (1, 2, 3, 4):
        put_part(sender, parted, number)
    first = put_part(sender, parted, 2, content(MB, seed=5)).headers["ETag"]
    assert put_part(sender, parted, 2).headers["ETag"] != first
    assert finish_upload(upload_id=parted.pk)
    assert kept(DATA)


def test_a_part_that_broke_off_is_not_there(sender: TusClient, parted: Upload) -> None:
    for number in (1, 2, 3, 4):
        put_part(sender, parted, number)

    with pytest.raises(httpx.HTTPError):
        sender.http.put(upload_path(parted, 2), content=short(), headers={"Content-Length": str(MB)})
    await_that(lambda: parted.arrived_parts.count() == 3, "the server has seen it come")
    with pytest.raises(Incomplete):
        finish_upload(upload_id=parted.pk)


def short() -> Iterator[bytes]:
    """Of a part."""
    yield b"x" * 1000
    raise httpx.ReadError("the cable")


def test_a_corrupted_part_is_found_at_the_end(sender: TusClient, parted: Upload) -> None:
    for number in (1, 2, 3):
        put_part(sender, parted, number)
    put_part(sender, parted, 4, b"damaged")
    with pytest.raises(DigestMismatch, match=sha256(DATA)):
        finish_upload(upload_id=parted.pk)
    assert use_of(parted.organization) == (0, 0)


@pytest.mark.parametrize(("number", "size", "status"), [(5, 7, 404), (4, 8, 400), (1, MB - 1, 400), (1, 0, 400)])
def test_a_part_has_its_number_and_its_size(
    sender: TusClient, parted: Upload, number: int, size: int, status: int
) -> None:
    assert put_part(sender, parted, number, b"x" * size).status_code == status
    assert sender.offset(upload_path(parted)) == 0


def test_parts_and_chunks_do_not_mix(sender: TusClient, parted: Upload, upload: Upload) -> None:
    assert sender.patch(upload_path(parted), 0, DATA).status_code == 400
    assert sender.http.put(upload_path(parted), content=DATA).status_code == 400
    assert put_part(sender, upload, 1).status_code == 404
