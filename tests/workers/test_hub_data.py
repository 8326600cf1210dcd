"""A data set of another Hub, by its name: read by `datasets` in a child, kept as a file that is read like any other; refused, cancelled, cut off."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from store.accounts.models import Organization, User
from store.catalog.storage import set_limit, storage_use
from store.errors import Conflict, InvalidRequest, NotFound
from store.tuning.actions.files import run_reading
from store.tuning.actions.imports import (
    MAX_ATTEMPTS,
    cancel_data_import,
    due_data_imports,
    import_of,
    start_data_import,
)
from store.tuning.models import DataFile, DataImport, DataImportStatus, FileStatus
from tests.store.tuning.conftest import files
from tests.waiting import await_that
from tests.workers.dataset_hub import COMMIT, DatasetHub
from workers.hub_data import import_data

__all__ = ["files"]
pytestmark = pytest.mark.django_db(transaction=True)

S = DataImportStatus
ROWS = [
    {"messages": [{"role": "user", "content": f"Wer da? {number} 🦉"}, {"role": "assistant", "content": "A friend."}]}
    for number in range(40)
]
CARD = b"""---
configs:
- config_name: plain
  data_files:
  - {split: train, path: data/train.jsonl}
  - {split: test, path: data/test.jsonl}
- config_name: other
  data_files: data/test.jsonl
---
# Owls
"""


def jsonl(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(columns: dict[str, list[object]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.fixture
def other(settings: Settings) -> Iterator[DatasetHub]:
    """A Hub with the data set ``acme/owls``."""
    hub = DatasetHub()
    hub.repos["acme/owls"] = {
        "README.md": CARD,
        "data/train.jsonl": jsonl(ROWS),
        "data/test.jsonl": jsonl(ROWS[:2]),
    }
    settings.IMPORT_ENDPOINT, settings.IMPORT_TOKEN = hub.url, "other-token"
    yield hub
    hub.close()


@pytest.fixture
def organization(consumer: User) -> Organization:
    return consumer.personal_organization


def asked(organization: Organization, user: User, **changes: object) -> DataImport:
    fields = {"repo_id": "acme/owls", "config": "plain", **changes}
    return start_data_import(organization=organization, user=user, **fields)  # type: ignore[arg-type]


def done(started: DataImport) -> DataImport:
    import_data(started.pk)
    started.refresh_from_db()
    return started


def test_a_split_becomes_a_file_that_is_read(
    organization: Organization, consumer: User, other: DatasetHub, files: Path
) -> None:
    ended = done(asked(organization, consumer))
    assert (ended.error, ended.status, ended.rows, ended.resolved) == ("", S.SUCCEEDED, 40, COMMIT)
    file = ended.file
    assert file is not None
    assert (file.filename, file.size, file.created_by) == ("acme-owls-plain-train.jsonl", ended.size, consumer)
    run_reading(file.pk)
    file.refresh_from_db()
    assert (file.status, file.format, file.examples) == (FileStatus.PROCESSED, "chat", 40)
    assert storage_use(organization).used_bytes == file.size
    assert storage_use(organization).reserved_bytes == 0
    assert other.tokens == {"Bearer other-token"}
    assert not list((files / "imports-data").iterdir())


def test_parquet_and_the_first_rows_of_it(organization: Organization, consumer: User, other: DatasetHub) -> None:
    columns: dict[str, list[object]] = {"prompt": ["Who?", "What?"], "completion": ["He.", "It."], "score": [1, 2]}
    other.repos["acme/table"] = {"data/train-00000-of-00001.parquet": parquet(columns)}
    ended = done(asked(organization, consumer, repo_id="acme/table", config="", most_rows=1))
    assert (ended.error, ended.status, ended.rows) == ("", S.SUCCEEDED, 1)
    assert ended.file is not None
    run_reading(ended.file.pk)
    ended.file.refresh_from_db()
    assert (ended.file.format, ended.file.examples) == ("completion", 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": ""}, "plain"),  # there are two: their names are said
        ({"config": "no"}, "plain"),
        ({"split": "validation"}, "train, test"),
        ({"repo_id": "acme/nothing", "config": ""}, "There is no acme/nothing there"),
        ({"revision": "never"}, "never"),
        ({"repo_id": "acme/pictures", "config": ""}, "'photo' holds"),
        ({"repo_id": "acme/elsewhere", "config": ""}, "don't belong to acme/elsewhere"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(
    organization: Organization, consumer: User, other: DatasetHub, changes: dict[str, object], said: str
) -> None:
    other.repos["acme/pictures"] = {"data/train.parquet": parquet({"photo": [b"\x00\x01"]})}
    card = f"---\nconfigs:\n- config_name: default\n  data_files: {other.url}/datasets/acme/owls/resolve/main/data/train.jsonl\n---\n"
    other.repos["acme/elsewhere"] = {"README.md": card.encode()}
    ended = done(asked(organization, consumer, **changes))
    assert ended.status == S.FAILED
    assert said in ended.error
    assert not DataFile.objects.exists()


def test_more_than_there_is_room_for_is_not_kept(organization: Organization, consumer: User, other: DatasetHub) -> None:
    set_limit(organization=organization, limit_bytes=500)
    ended = done(asked(organization, consumer))
    assert ended.status == S.FAILED
    assert "room for" in ended.error
    assert storage_use(organization).used_bytes == storage_use(organization).reserved_bytes == 0


def test_a_hub_that_is_away_is_asked_again_and_then_given_up(
    organization: Organization, consumer: User, other: DatasetHub
) -> None:
    other.down = True
    started = done(asked(organization, consumer))
    assert (started.status, "could not be read" in started.error) == (S.RUNNING, True)
    other.down = False
    DataImport.objects.update(due_at="2026-01-01T00:00:00Z")
    assert due_data_imports() == [started.pk]
    assert done(started).status == S.SUCCEEDED
    again = asked(organization, consumer)
    DataImport.objects.filter(pk=again.pk).update(attempts=MAX_ATTEMPTS, error="The other Hub could not be read: 503")
    assert done(again).status == S.FAILED
    assert again.error == "The other Hub could not be read: 503"


def test_a_cancelled_import_ends_at_once_and_keeps_nothing(
    organization: Organization, consumer: User, other: DatasetHub
) -> None:
    other.waits.clear()
    started = asked(organization, consumer)

    def run() -> None:
        try:
            import_data(started.pk)
        finally:
            connection.close()

    worker = threading.Thread(target=run)
    worker.start()
    await_that(lambda: DataImport.objects.get(pk=started.pk).status == S.RUNNING, "it runs")
    assert cancel_data_import(data_import=started, user=consumer).status == S.CANCELLED
    worker.join(60)
    assert not worker.is_alive()
    assert not DataFile.objects.exists()
    assert cancel_data_import(data_import=started, user=consumer).status == S.CANCELLED


def test_who_may_ask_for_how_many(
    organization: Organization, consumer: User, stranger: User, other: DatasetHub
) -> None:
    first = asked(organization, consumer)
    assert asked(organization, consumer) == first  # the same, while it is under way
    for number in (1, 2):
        asked(organization, consumer, most_rows=number)
    with pytest.raises(Conflict):
        asked(organization, consumer, split="test")
    with pytest.raises(NotFound):
        asked(organization, stranger)
    with pytest.raises(NotFound):
        import_of(stranger, first.public_id)


@pytest.mark.parametrize("field", ["repo_id", "config", "split", "revision"])
def test_a_name_that_is_none_is_refused_at_its_field(organization: Organization, consumer: User, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked(organization, consumer, **{field: "../../etc\n"})
    assert refused.value.param == field


def test_page_and_api(organization: Organization, consumer: User, other: DatasetHub, client: Client) -> None:
    client.force_login(consumer)
    page = client.get("/data").content.decode()
    assert other.url.removeprefix("http://") in page
    form = {"repo_id": "acme/owls", "config": "plain", "split": "train", "most_rows": "3", "revision": ""}
    refused = client.post("/data/import", {**form, "split": "../x"})
    assert (refused.status_code, "A split has a name" in refused.content.decode()) == (422, True)
    assert client.post("/data/import", form).status_code == 302
    assert "acme/owls" in client.get("/data/imports").content.decode()
    made = DataImport.objects.get()
    done(made)
    assert client.get("/data/imports").headers["HX-Refresh"] == "true"
    assert "acme-owls-plain-train.jsonl" in client.get("/data").content.decode()
    shown = client.get(f"/api/data-imports/{made.public_id}").json()
    assert (shown["status"], shown["rows"], shown["file"]) == ("succeeded", 3, made.file.public_id)  # type: ignore[union-attr]
    body = {"organization": organization.slug, "repo_id": "acme/owls", "config": "plain"}
    sent = client.post("/api/data-imports", body, content_type="application/json")
    assert sent.status_code == 201
    cancelled = client.post(f"/api/data-imports/{sent.json()['id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    assert [row["id"] for row in client.get("/api/data-imports").json()["results"]] == [
        sent.json()["id"],
        made.public_id,
    ]
