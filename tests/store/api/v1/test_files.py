"""Training data by the official client: files whole and in parts, listed, read in ranges, deleted."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from django.conf import settings

from store.catalog.models import StorageUse
from store.catalog.storage import set_limit, storage_use
from store.keys.actions import issue_key
from store.tuning.actions.files import delete_file, run_reading
from store.tuning.models import DataFile, FileUpload
from store.uploads.models import Upload, UploadStatus
from tests.conftest import make_user
from tests.store.live import Live, wait_until

LINE = {"messages": [{"role": "user", "content": "Who's there?"}, {"role": "assistant", "content": "Nay, answer me."}]}
CONTENT = "".join(json.dumps(LINE) + "\n" for _ in range(100)).encode()


def folders() -> set[str]:
    """Of uploads under way. Other tests of the same process leave some: what they rolled back had no time to be tidied away."""
    return {folder.name for folder in (Path(settings.DATA_DIR) / "uploads").glob("*")}


@pytest.fixture(autouse=True)
def before(live: Live) -> set[str]:
    """No file of the buyer's is there. The folders that were there before the test."""
    FileUpload.objects.all().delete()
    for file in DataFile.objects.kept():
        delete_file(file=file, user=None)
    set_limit(organization=live.buyer, limit_bytes=10**9)
    return folders()


def create(live: Live, content: bytes = CONTENT, name: str = "data.jsonl", **fields: Any) -> Any:
    return live.openai().files.create(file=(name, content), purpose="fine-tune", **fields)


def use(live: Live) -> tuple[int, int]:
    row = StorageUse.objects.get(organization=live.buyer)
    return row.used_bytes, row.reserved_bytes


def test_a_file_is_created_read_listed_fetched_and_deleted(live: Live, before: set[str]) -> None:
    client = live.openai()
    made = create(live)
    assert (made.object, made.bytes, made.filename, made.purpose) == ("file", len(CONTENT), "data.jsonl", "fine-tune")
    assert made.status == "uploaded"
    run_reading(DataFile.objects.get(public_id=made.id).pk)
    found = client.files.retrieve(made.id)
    assert (found.status, found.status_details, found.expires_at) == ("processed", None, None)
    assert client.files.content(made.id).read() == CONTENT
    assert [file.id for file in client.files.list()] == [made.id]
    gone = client.files.delete(made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)
    assert use(live) == (0, 0)
    assert folders() <= before


def test_a_bad_file_says_what_is_wrong(live: Live) -> None:
    made = create(live, b'{"messages": []}\n')
    run_reading(DataFile.objects.get(public_id=made.id).pk)
    found = live.openai().files.retrieve(made.id)
    assert found.status == "error"
    assert found.status_details.startswith("1 line cannot be used: line 1.")


def test_a_range_of_a_file_is_fetched(live: Live) -> None:
    made = create(live)
    url = f"/v1/files/{made.id}/content"
    part = live.http.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"
    assert live.http.get(url, headers={"Range": "bytes=999999999-"}).status_code == 416
    assert live.http.head(url).headers["content-length"] == str(len(CONTENT))


def test_a_list_comes_in_pages_in_either_order(live: Live) -> None:
    client = live.openai()
    ids = [create(live, CONTENT + b"\n" * number, f"{number}.jsonl").id for number in range(5)]
    assert [file.id for file in client.files.list(limit=2)] == ids[::-1]
    page = client.files.list(limit=2, order="asc", after=ids[0])
    assert ([file.id for file in page.data], page.has_more) == (ids[1:3], True)
    assert list(client.files.list(purpose="fine-tune-results")) == []
    for asked in ({"limit": 0}, {"limit": "x"}, {"order": "up"}):
        assert live.http.get("/v1/files", params=asked).json()["error"]["param"] in asked
    assert live.http.get("/v1/files", params={"after": "file-none"}).status_code == 404


def test_another_tenants_file_is_not_there(live: Live) -> None:
    made = create(live)
    stranger = make_user("filestranger")
    key = issue_key(organization=stranger.personal_organization, user=stranger, name="x", listings=[live.listing])
    other = openai.OpenAI(base_url=f"{live.url}/v1", api_key=key.secret, max_retries=0, http_client=live.bare)
    for call in (other.files.retrieve, other.files.delete, other.files.content):
        with pytest.raises(openai.NotFoundError) as raised:
            call(made.id)
        assert raised.value.param == "id"
    assert list(other.files.list()) == []
    assert live.openai().files.retrieve(made.id).id == made.id


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "assistants"}, "purpose"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "fine-tune", "format": "poem"}, "format"),
        ({"purpose": "fine-tune", "mapping[frage]": "x"}, "mapping.frage"),
        ({"purpose": "fine-tune", "colour": "red"}, "colour"),
        (
            {"purpose": "fine-tune", "expires_after[anchor]": "now", "expires_after[seconds]": "3600"},
            "expires_after.anchor",
        ),
        (
            {"purpose": "fine-tune", "expires_after[anchor]": "created_at", "expires_after[seconds]": "5"},
            "expires_after.seconds",
        ),
    ],
)
def test_what_is_not_understood_is_refused_by_name_and_keeps_nothing(
    live: Live, fields: dict[str, str], param: str
) -> None:
    answer = live.http.post("/v1/files", data=fields, files={"file": ("a.jsonl", CONTENT)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert use(live) == (0, 0)
    assert not DataFile.objects.kept().exists()


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"data": ("a.jsonl", CONTENT)}, 400),
        ({"file": ("a.jsonl", b"")}, 400),
        ({"file": ("", CONTENT)}, 400),
        ({"other": (None, b"x")}, 400),
    ],
)
def test_a_form_without_its_file_is_refused(live: Live, files: Any, status: int) -> None:
    answer = live.http.post("/v1/files", data={"purpose": "fine-tune"}, files=files)
    assert answer.status_code == status, answer.text
    assert use(live) == (0, 0)


def test_a_body_that_is_no_form_is_refused(live: Live) -> None:
    assert live.http.post("/v1/files", json={}).json()["error"]["param"] == "Content-Type"
    assert live.bare.post(f"{live.url}/v1/files", files={"file": ("a", b"x")}).status_code == 401


def test_a_file_beyond_the_quota_is_refused_before_it_is_sent(live: Live) -> None:
    set_limit(organization=live.buyer, limit_bytes=1000)
    with pytest.raises(openai.APIStatusError, match="may keep") as raised:
        create(live)
    assert (raised.value.status_code, raised.value.code) == (413, "storage_quota_exceeded")
    set_limit(organization=live.buyer, limit_bytes=10**9)
    assert use(live) == (0, 0)


def test_a_file_expires_when_it_was_told_to(live: Live) -> None:
    made = create(live, expires_after={"anchor": "created_at", "seconds": 3600})
    assert 3590 <= made.expires_at - made.created_at <= 3610


def test_a_csv_is_described_in_the_same_call(live: Live) -> None:
    mapping = {"prompt": "question", "completion": "answer"}
    made = create(live, b"question,answer\na,b\n", "a.csv", extra_body={"mapping": mapping, "format": "completion"})
    file = DataFile.objects.get(public_id=made.id)
    assert (file.mapping, file.format) == (mapping, "completion")


def test_a_client_that_goes_away_leaves_nothing(live: Live, before: set[str]) -> None:
    def body() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + b"x" * 100_000
        raise ConnectionError

    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": "10000000"}
    with pytest.raises(ConnectionError):
        live.http.post("/v1/files", content=body(), headers=headers)
    wait_until(lambda: Upload.objects.filter(size=10_000_000, status=UploadStatus.CANCELLED).exists())
    wait_until(lambda: folders() <= before)
    assert use(live) == (0, 0)


def test_twenty_files_at_once_do_not_exceed_the_quota(live: Live) -> None:
    set_limit(organization=live.buyer, limit_bytes=5 * len(CONTENT))
    barrier = threading.Barrier(20)

    def race(number: int) -> str:
        barrier.wait()
        form = {"file": ("a.jsonl", CONTENT[:-3] + f"{number:02}\n".encode())}
        answer = live.http.post("/v1/files", data={"purpose": "fine-tune"}, files=form)
        return answer.json()["error"]["code"] if answer.is_error else "kept"

    with ThreadPoolExecutor(20) as pool:
        ended = Counter(pool.map(race, range(20)))
    assert set(ended) == {"kept", "storage_quota_exceeded"}
    kept = ended["kept"]
    # While they come, each has a little more set aside than it has at the end: one may be refused that would just have fitted.
    assert 1 <= kept <= 5
    assert DataFile.objects.kept().count() == kept
    assert use(live) == (kept * len(CONTENT), 0)


def test_a_file_comes_in_parts_in_parallel_and_in_any_order(live: Live, before: set[str]) -> None:
    client = live.openai()
    upload = client.uploads.create(
        bytes=len(CONTENT), filename="big.jsonl", mime_type="text/jsonl", purpose="fine-tune"
    )
    assert (upload.status, upload.object, upload.bytes) == ("pending", "upload", len(CONTENT))
    pieces = [CONTENT[begin : begin + 3000] for begin in range(0, len(CONTENT), 3000)]
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda piece: client.uploads.parts.create(upload.id, data=piece), reversed(pieces)))
    assert {part.object for part in sent} == {"upload.part"}
    ids = [part.id for part in reversed(sent)]
    done = client.uploads.complete(upload.id, part_ids=ids, md5=hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
    assert done.status == "completed"
    assert client.files.content(done.file.id).read() == CONTENT
    assert client.uploads.complete(upload.id, part_ids=ids).file.id == done.file.id  # its answer was lost
    assert folders() <= before


def test_the_clients_own_chunked_upload_works(live: Live) -> None:
    done = live.openai().uploads.upload_file_chunked(
        file=CONTENT,
        filename="big.jsonl",
        bytes=len(CONTENT),
        mime_type="text/jsonl",
        purpose="fine-tune",
        part_size=4000,
    )
    assert done.file.bytes == len(CONTENT)


def test_parts_that_are_not_the_file_are_refused_and_can_be_mended(live: Live) -> None:
    client = live.openai()
    upload = client.uploads.create(bytes=10, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    first, second = (client.uploads.parts.create(upload.id, data=piece).id for piece in (b"01234", b"56789"))
    for wrong in ([first], [first, first], [first, "part_none"]):
        with pytest.raises((openai.BadRequestError, openai.ConflictError)) as raised:
            client.uploads.complete(upload.id, part_ids=wrong)
        assert raised.value.param == "part_ids"
    with pytest.raises(openai.BadRequestError, match="MD5"):
        client.uploads.complete(
            upload.id, part_ids=[second, first], md5=hashlib.md5(b"0123456789", usedforsecurity=False).hexdigest()
        )
    with pytest.raises(openai.APIStatusError) as raised:
        client.uploads.parts.create(upload.id, data=io.BytesIO(b"x" * 11))
    assert raised.value.status_code == 413
    assert client.uploads.complete(upload.id, part_ids=[first, second]).file.bytes == 10


def test_a_cancelled_upload_gives_its_room_back_and_takes_no_part(live: Live, before: set[str]) -> None:
    client = live.openai()
    upload = client.uploads.create(bytes=5000, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    assert use(live) == (0, 5000)
    client.uploads.parts.create(upload.id, data=b"x" * 100)
    assert client.uploads.cancel(upload.id).status == "cancelled"
    assert use(live) == (0, 0)
    with pytest.raises(openai.APIStatusError) as raised:
        client.uploads.parts.create(upload.id, data=b"x")
    assert raised.value.status_code == 410
    assert folders() <= before


def test_an_upload_expires(live: Live) -> None:
    client = live.openai()
    upload = client.uploads.create(bytes=5, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    part = client.uploads.parts.create(upload.id, data=b"01234")
    Upload.objects.update(expires_at="2020-01-01T00:00:00Z")
    with pytest.raises(openai.APIStatusError) as raised:
        client.uploads.complete(upload.id, part_ids=[part.id])
    assert raised.value.status_code == 410
    client.uploads.cancel(upload.id)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"bytes": 5, "filename": "a.jsonl", "mime_type": "x", "purpose": "vision"}, "purpose"),
        ({"bytes": 0, "filename": "a.jsonl", "mime_type": "x", "purpose": "fine-tune"}, "bytes"),
        ({"bytes": "5", "filename": "a.jsonl", "mime_type": "x", "purpose": "fine-tune"}, "bytes"),
        ({"bytes": 5, "filename": "../a", "mime_type": "x", "purpose": "fine-tune"}, "filename"),
    ],
)
def test_an_upload_that_makes_no_sense_is_refused_by_name(live: Live, body: Any, param: str) -> None:
    answer = live.http.post("/v1/uploads", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_another_tenants_upload_is_not_there(live: Live) -> None:
    upload = live.openai().uploads.create(bytes=5, filename="a.jsonl", mime_type="x", purpose="fine-tune")
    stranger = make_user("uploadstranger")
    key = issue_key(organization=stranger.personal_organization, user=stranger, name="x", listings=[live.listing])
    other = openai.OpenAI(base_url=f"{live.url}/v1", api_key=key.secret, max_retries=0, http_client=live.bare)
    for call in (
        lambda: other.uploads.cancel(upload.id),
        lambda: other.uploads.parts.create(upload.id, data=b"x"),
        lambda: other.uploads.complete(upload.id, part_ids=[]),
    ):
        with pytest.raises(openai.NotFoundError):
            call()
    live.openai().uploads.cancel(upload.id)
    assert storage_use(live.buyer).reserved_bytes == 0
