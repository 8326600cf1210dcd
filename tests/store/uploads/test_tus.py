"""The protocol: what is sent arrives, whatever happens on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.core.files.storage import default_storage
from pytest_django import Settings

from store.accounts.models import Organization
from store.catalog.models import Blob, OrganizationBlob
from store.uploads import digests
from store.uploads.errors import UploadGone
from store.uploads.models import Upload, UploadStatus
from store.uploads.request import held
from tests.store.uploads.conftest import committed as db
from tests.store.uploads.conftest import use_of
from tests.store.uploads.tus_client import MB, TUS, TusClient, checksum, content, sha256
from tests.waiting import await_that

__all__ = ["db"]

DATA = content(3 * MB + 7)


def kept(data: bytes) -> bool:
    """Whether the store has this content, and it is the content."""
    blob = Blob.objects.filter(pk=sha256(data)).first()
    if blob is None:
        return False
    with default_storage.open(blob.storage_name) as file:
        return blob.size == len(data) and file.read() == data


def test_a_file_in_one_chunk_becomes_content_of_the_organization(
    sender: TusClient, organization: Organization, files: Path
) -> None:
    made = sender.create("provider", len(DATA), sha256=sha256(DATA))
    assert made.status_code == 201
    assert made.headers["Upload-Expires"].endswith("GMT")
    assert use_of(organization) == (0, len(DATA))
    link = made.headers["Location"]
    answer = sender.patch(link, 0, DATA)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(DATA)))
    assert kept(DATA)
    assert OrganizationBlob.objects.get().organization == organization
    assert use_of(organization) == (len(DATA), 0)
    assert list((files / "uploads").iterdir()) == []
    assert sender.offset(link) == len(DATA)


def test_chunks_with_checksums_follow_each_other(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", len(DATA))
    for begin in range(0, len(DATA), MB):
        chunk = DATA[begin : begin + MB]
        algorithm = "sha1" if begin else "sha256"
        answer = sender.patch(link, begin, chunk, **checksum(chunk, algorithm))
        assert answer.headers["Upload-Offset"] == str(begin + len(chunk))
    assert kept(DATA)


def test_a_corrupted_chunk_is_refused_and_nothing_of_it_is_kept(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", len(DATA), sha256=sha256(DATA))
    sender.patch(link, 0, DATA[:MB], **checksum(DATA[:MB]))
    damaged = bytes([DATA[MB] ^ 1]) + DATA[MB + 1 :]
    answer = sender.patch(link, MB, damaged, **checksum(DATA[MB:]))
    assert answer.status_code == 460
    assert answer.json()["error"]["code"] == "checksum_mismatch"
    assert sender.offset(link) == MB
    assert sender.patch(link, MB, DATA[MB:], **checksum(DATA[MB:])).status_code == 204
    assert kept(DATA)


def test_a_chunk_sent_twice_or_out_of_order_is_a_conflict_that_says_where_to_go_on(
    sender: TusClient, organization: Organization
) -> None:
    link = sender.link("provider", len(DATA))
    assert sender.patch(link, 0, DATA[:MB]).status_code == 204
    for offset in (0, 2 * MB):
        answer = sender.patch(link, offset, DATA[offset : offset + MB])
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, str(MB))
    assert sender.patch(link, MB, DATA[MB:]).status_code == 204
    assert kept(DATA)


def test_a_broken_connection_keeps_what_arrived(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", len(DATA), sha256=sha256(DATA))
    sender.begin_chunk(link, 0, len(DATA), DATA[:MB]).close()
    offset = await_that(lambda: sender.offset(link), "bytes have arrived")
    assert 0 < offset <= MB
    assert sender.patch(link, offset, DATA[offset:]).status_code == 204
    assert kept(DATA)


def test_a_broken_chunk_with_a_checksum_is_not_kept(sender: TusClient, organization: Organization, files: Path) -> None:
    link = sender.link("provider", len(DATA), sha256=sha256(DATA))
    said = f"Upload-Checksum: {checksum(DATA)['Upload-Checksum']}"
    connection = sender.begin_chunk(link, 0, len(DATA), DATA[: 2 * MB], said)
    await_that(lambda: any(path.stat().st_size for path in files.glob("uploads/*/stream")), "bytes lie on the disk")
    connection.close()
    assert sender.offset(link) == 0
    assert sender.patch(link, 0, DATA, **checksum(DATA)).status_code == 204
    assert kept(DATA)


def test_a_stale_connection_gives_way_to_the_same_client(
    sender: TusClient, organization: Organization, files: Path
) -> None:
    """A laptop that slept: the server still believes in the old connection when the client is back on a new one."""
    link = sender.link("provider", len(DATA))
    stale = sender.begin_chunk(link, 0, len(DATA), DATA[:MB])
    await_that(lambda: any(path.stat().st_size for path in files.glob("uploads/*/stream")), "bytes lie on the disk")
    offset = sender.offset(link)
    assert sender.patch(link, offset, DATA[offset:]).status_code == 204
    assert kept(DATA)
    stale.close()


def test_a_client_that_stops_sending_is_told_so_and_keeps_what_arrived(
    sender: TusClient, organization: Organization, settings: Settings
) -> None:
    settings.SLOW_CLIENT_S = 1
    link = sender.link("provider", len(DATA))
    connection = sender.begin_chunk(link, 0, len(DATA), DATA[:MB])
    assert b" 408 " in connection.recv(1000)
    connection.close()
    assert sender.offset(link) == MB


def test_what_another_process_wrote_is_read_again_at_the_end(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", len(DATA), sha256=sha256(DATA))
    sender.patch(link, 0, DATA[:MB])
    digests.forget(Upload.objects.get().pk)
    sender.patch(link, MB, DATA[MB : 2 * MB])
    assert sender.patch(link, 2 * MB, DATA[2 * MB :]).status_code == 204
    assert kept(DATA)


def test_a_file_that_is_not_what_was_promised_is_thrown_away(
    sender: TusClient, organization: Organization, files: Path
) -> None:
    link = sender.link("provider", len(DATA), sha256=sha256(b"another file"))
    answer = sender.patch(link, 0, DATA)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "digest_mismatch")
    assert not Blob.objects.exists()
    assert use_of(organization) == (0, 0)
    assert list((files / "uploads").iterdir()) == []
    assert sender.head(link).status_code == 410
    assert sender.patch(link, len(DATA), b"").status_code == 410


def test_more_than_was_promised_is_refused(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", MB)
    assert sender.patch(link, 0, DATA).status_code == 413
    streamed = sender.http.patch(
        link,
        content=iter([DATA[:MB], DATA[MB:]]),
        headers={**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
    )
    assert streamed.status_code == 413
    assert sender.patch(link, sender.offset(link), DATA[sender.offset(link) : MB]).status_code == 204


def test_the_answer_that_was_lost_can_be_asked_for_again(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", MB)
    sender.patch(link, 0, DATA[:MB])
    assert sender.patch(link, MB, b"").status_code == 204
    assert sender.patch(link, 0, DATA[:MB]).status_code == 409
    assert use_of(organization) == (MB, 0)


def test_a_cancelled_upload_is_gone_and_its_reservation_with_it(
    sender: TusClient, organization: Organization, files: Path
) -> None:
    link = sender.link("provider", len(DATA))
    sender.patch(link, 0, DATA[:MB])
    assert sender.delete(link).status_code == 204
    assert use_of(organization) == (0, 0)
    assert list((files / "uploads").iterdir()) == []
    assert [sender.head(link).status_code, sender.delete(link).status_code] == [410, 410]


def test_what_was_cancelled_a_moment_ago_takes_no_byte_and_leaves_no_folder(
    sender: TusClient, organization: Organization, files: Path
) -> None:
    link = sender.link("provider", len(DATA))
    read_before = Upload.objects.get()
    assert sender.delete(link).status_code == 204
    with pytest.raises(UploadGone):
        async_to_sync(held)(read_before)
    assert list((files / "uploads").iterdir()) == []


def test_cancelling_stops_the_connection_that_sends(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", len(DATA))
    connection = sender.begin_chunk(link, 0, len(DATA), DATA[:MB])
    await_that(lambda: sender.delete(link).status_code == 204, "cancelled")
    assert b" 410 " in connection.recv(1000)
    connection.close()
    assert Upload.objects.get().status == UploadStatus.CANCELLED


def test_what_is_done_cannot_be_cancelled(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", MB)
    sender.patch(link, 0, DATA[:MB])
    assert sender.delete(link).status_code == 409
    assert kept(DATA[:MB])


def test_two_uploads_of_one_name_do_not_know_each_other(sender: TusClient, organization: Organization) -> None:
    other = content(MB, seed=2)
    first, second = sender.link("provider", MB), sender.link("provider", MB)
    sender.patch(first, 0, DATA[: MB // 2])
    sender.patch(second, 0, other[: MB // 2])
    sender.patch(second, MB // 2, other[MB // 2 :])
    sender.patch(first, MB // 2, DATA[MB // 2 : MB])
    assert kept(DATA[:MB])
    assert kept(other)


def test_an_empty_file_is_done_at_once(sender: TusClient, organization: Organization) -> None:
    made = sender.create("provider", 0, name="README.md")
    assert (made.status_code, made.headers["Upload-Offset"]) == (201, "0")
    assert kept(b"")


def test_content_that_is_here_need_not_be_sent(sender: TusClient, organization: Organization) -> None:
    sender.patch(sender.link("provider", MB), 0, DATA[:MB])
    made = sender.create("provider", MB, sha256=sha256(DATA[:MB]))
    assert (made.status_code, made.headers["Upload-Offset"]) == (201, str(MB))
    assert sender.offset(made.headers["Location"]) == MB
    assert use_of(organization) == (MB, 0)
    wrong = sender.create("provider", MB + 1, sha256=sha256(DATA[:MB]))
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "size")


def test_options_tell_what_is_spoken(sender: TusClient, organization: Organization, settings: Settings) -> None:
    for path in ("/uploads", sender.link("provider", 1)):
        told = sender.http.options(path).headers
        assert told["Tus-Version"] == "1.0.0"
        assert set(told["Tus-Extension"].split(",")) == {"creation", "expiration", "checksum", "termination"}
        assert told["Tus-Max-Size"] == str(settings.MAX_FILE_BYTES)
        assert told["Tus-Checksum-Algorithm"] == "sha256,sha1"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Tus-Resumable": "0.2"}, 412),
        ({"Content-Type": "application/octet-stream"}, 415),
        ({"Upload-Offset": "-1"}, 400),
        ({"Upload-Offset": "9" * 40}, 400),
        ({"Upload-Checksum": "md5 AAAA"}, 400),
        ({"Upload-Checksum": "sha256 not base64"}, 400),
    ],
)
def test_a_malformed_chunk_is_refused(
    sender: TusClient, organization: Organization, changed: dict[str, str], status: int
) -> None:
    link = sender.link("provider", MB)
    assert sender.patch(link, 0, DATA[:MB], **changed).status_code == status
    assert sender.offset(link) == 0


def test_a_method_can_be_told_in_a_header(sender: TusClient, organization: Organization) -> None:
    """For proxies that know no PATCH."""
    link = sender.link("provider", MB)
    own = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert sender.http.post(link, content=DATA[:MB], headers={**TUS, **own}).status_code == 204
    assert sender.http.post(link, content=b"").status_code == 405
