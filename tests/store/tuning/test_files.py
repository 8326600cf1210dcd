"""Files of training data: added, read by a child, described anew, counted, deleted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from inference.training import data as training_data
from store.accounts.models import Organization, User
from store.catalog.actions.errors import NotInThisState
from store.catalog.models import Blob, Release, StorageUse
from store.catalog.storage import QuotaExceeded, collect_unused, storage_use
from store.errors import Conflict, InvalidRequest, NotFound
from store.tuning.actions.files import (
    add_file,
    delete_expired,
    delete_file,
    describe_file,
    due_files,
    run_reading,
)
from store.tuning.actions.tallies import due_tallies, run_tally, tally_file
from store.tuning.errors import FileNotReady
from store.tuning.models import DataFile, DataFormat, FileStatus, Tally, TallyStatus
from store.uploads.actions import begin_upload
from store.uploads.models import Purpose, Upload
from tests.store.tuning.conftest import ANSWER, CHAT, USER, lines, sent

RACERS = 20

Add = Callable[..., DataFile]


def test_the_words_of_the_store_are_those_of_the_reader() -> None:
    assert set(DataFormat.values) == {form.value for form in training_data.DataFormat}


def test_a_file_is_read_and_told_of(add: Add) -> None:
    file = add(lines(CHAT, CHAT, {"messages": [USER, ANSWER, USER, ANSWER | {"weight": 0}]}))
    assert (file.status, file.status_details) == (FileStatus.PROCESSED, "")
    assert (file.format, file.examples) == ("chat", 3)
    assert file.public_id.startswith("file-")
    report = file.report
    assert (report["duplicates"], report["turns"], report["roles"]) == (1, 8, {"user": 4, "assistant": 4})
    assert report["characters"] == [[32, 2], [64, 1]]
    assert report["progress"] == 1
    assert report["samples"][0] == {"line": 1, "fields": {"messages": [USER, ANSWER], "tools": None}}


def test_a_bad_line_is_named_and_the_file_cannot_be_used(add: Add) -> None:
    file = add(lines(CHAT, {"messages": [USER]}, CHAT) + b"{broken\n")
    assert file.status == FileStatus.ERROR
    assert file.examples == 2
    assert [(fault["line"], fault["code"]) for fault in file.report["faults"]] == [(2, "no_answer"), (4, "json")]
    assert file.status_details.startswith("2 lines cannot be used. The first is line 2: The last message")


def test_the_first_hundred_faults_are_kept_and_all_are_counted(add: Add) -> None:
    file = add(lines(*[{"messages": []}] * 250))
    assert len(file.report["faults"]) == 100
    assert file.report["fault_count"] == file.report["fault_codes"]["bad_field"] == 250


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("data.jsonl", b"", "nothing in the file"),
        ("data.jsonl", '{"text": "a"}'.encode("utf-16"), "UTF-16"),
        ("data.xlsx", b"PK", "ends with none of"),
        ("data.parquet", b"PAR1 not", "Not a whole Parquet"),
        ("data.jsonl", b'{"question": "a"}', "Known are"),
    ],
)
def test_a_file_that_nobody_can_read_says_why(add: Add, name: str, content: bytes, said: str) -> None:
    file = add(content, name)
    assert file.status == FileStatus.ERROR
    assert said in file.status_details


def test_a_bomb_of_brackets_and_odd_characters_end_in_the_report(add: Add) -> None:
    odd = b'{"text": "a", "k\\u0000ey\\ud800": 1}\n'
    file = add(odd + b'{"text": "a\\u0000b"}\n' + b"[" * 100_000 + b"\n")
    assert [fault["code"] for fault in file.report["faults"]] == ["nul", "json"]
    assert list(file.report["ignored"]) == ["k\ufffdey?"]


def test_a_child_without_enough_memory_is_survived(add: Add, settings: Settings) -> None:
    settings.CHECK_MEMORY_BYTES = 64 * 1024**2
    file = add()
    assert file.status == FileStatus.ERROR
    assert "Reading it" in file.status_details


def test_a_csv_waits_for_its_mapping_and_is_then_read_anew(add: Add, consumer: User) -> None:
    file = add(b"question,answer\na,b\nc,d\n", "data.csv")
    assert file.status == FileStatus.ERROR
    assert file.report["columns"] == ["question", "answer"]
    with pytest.raises(InvalidRequest, match="A mapping names"):
        describe_file(file=file, user=consumer, format="", mapping={"frage": "question"})
    described = describe_file(
        file=file, user=consumer, format="", mapping={"prompt": "question", "completion": "answer"}
    )
    assert described.status == FileStatus.UPLOADED
    run_reading(file.pk)
    file.refresh_from_db()
    assert (file.status, file.format, file.examples) == (FileStatus.PROCESSED, "completion", 2)


def test_a_mapping_that_names_no_column_is_told(add: Add) -> None:
    file = add(b"question,answer\na,b\n", "data.csv", mapping={"prompt": "frage", "completion": "answer"})
    assert "There is no column 'frage'. The columns are: question, answer." in file.status_details


def test_a_file_that_is_read_at_this_moment_is_not_described(add: Add, consumer: User) -> None:
    file = add()
    DataFile.objects.filter(pk=file.pk).update(status=FileStatus.PROCESSING)
    with pytest.raises(NotInThisState):
        describe_file(file=file, user=consumer, format="", mapping={})


def test_strangers_see_and_change_nothing(add: Add, stranger: User, consumer: User) -> None:
    file = add()
    assert list(DataFile.objects.visible_to(consumer)) == [file]
    assert not DataFile.objects.visible_to(stranger).exists()
    with pytest.raises(NotFound):
        delete_file(file=file, user=stranger)
    with pytest.raises(NotFound):
        describe_file(file=file, user=stranger, format="", mapping={})


def test_a_deleted_file_is_gone_and_counts_no_more(add: Add, organization: Organization, consumer: User) -> None:
    file = add()
    assert storage_use(organization).used_bytes == file.size
    path = Path(default_storage.path(Blob(sha256=file.sha256).storage_name))
    assert path.exists()
    delete_file(file=file, user=consumer)
    assert not DataFile.objects.visible_to(consumer).exists()
    assert storage_use(organization).used_bytes == 0
    with pytest.raises(NotFound):
        delete_file(file=file, user=consumer)


def test_equal_files_count_once_and_stay_while_one_is_left(
    add: Add, organization: Organization, consumer: User
) -> None:
    first, second = add(), add()
    assert storage_use(organization).used_bytes == first.size
    delete_file(file=first, user=consumer)
    assert storage_use(organization).used_bytes == second.size
    assert second.blob is not None
    assert default_storage.exists(second.blob.storage_name)


def test_content_of_a_file_is_not_collected(add: Add, settings: Settings, consumer: User) -> None:
    file = add()
    settings.UPLOAD_EXPIRES_S = -1
    assert collect_unused() == 0
    file.refresh_from_db()
    assert file.blob is not None
    delete_file(file=file, user=consumer)
    assert collect_unused() == file.size


def test_a_file_goes_when_its_time_is_over(add: Add) -> None:
    file = add(expires_at=timezone.now() + timedelta(hours=1))
    assert delete_expired() == 0
    DataFile.objects.filter(pk=file.pk).update(expires_at=timezone.now())
    assert not DataFile.objects.kept().exists()
    assert delete_expired() == 1
    file.refresh_from_db()
    assert file.blob is None


def test_an_upload_that_is_not_done_or_of_another_purpose_makes_no_file(organization: Organization) -> None:
    upload = begin_upload(organization=organization, user=None, path="a.jsonl", size=5, purpose=Purpose.DATA)
    with pytest.raises(Conflict):
        add_file(upload=upload, user=None)
    with pytest.raises(NotFound):
        add_file(upload=Upload(organization=organization, path="README.md", size=1), user=None)


def test_what_was_lost_on_the_way_is_due_again(organization: Organization) -> None:
    file = add_file(upload=sent(organization, "a.jsonl", lines(CHAT)), user=None)
    assert due_files() == [file.pk]
    DataFile.objects.filter(pk=file.pk).update(status=FileStatus.PROCESSING, attempts=2)  # its worker died
    run_reading(file.pk)
    file.refresh_from_db()
    assert (file.status, file.attempts) == (FileStatus.PROCESSED, 3)
    assert due_files() == []


def test_a_file_that_kills_its_worker_is_given_up(organization: Organization) -> None:
    file = add_file(upload=sent(organization, "a.jsonl", lines(CHAT)), user=None)
    DataFile.objects.filter(pk=file.pk).update(status=FileStatus.PROCESSING, attempts=3)
    run_reading(file.pk)
    file.refresh_from_db()
    assert file.status == FileStatus.ERROR
    assert "broken off 3 times" in file.status_details


@pytest.mark.django_db(transaction=True)
def test_twenty_files_at_once_do_not_exceed_the_quota(organization: Organization, settings: Settings) -> None:
    settings.STORAGE_LIMIT_BYTES = 1000
    barrier = Barrier(RACERS)

    def race(number: int) -> bool:
        content = lines({"text": f"{number:02} " + "x" * 80}) + b"\n"
        try:
            barrier.wait()
            add_file(upload=sent(organization, f"{number}.jsonl", content), user=None)
            return True
        except QuotaExceeded:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(RACERS) as pool:
        kept = sum(pool.map(race, range(RACERS)))
    size = len(lines({"text": "00 " + "x" * 80})) + 1
    assert kept == DataFile.objects.count() == 1000 // size
    use = StorageUse.objects.get(organization=organization)
    assert (use.used_bytes, use.reserved_bytes) == (kept * size, 0)


def test_tokens_are_counted_for_a_base(add: Add, base: Release) -> None:
    file = add(lines(CHAT, {"messages": [USER, ANSWER | {"content": "to be or not to be " * 50}]}))
    tally = tally_file(file=file, release=base, max_length=64)
    assert due_tallies() == [tally.pk]
    run_tally(tally.pk)
    tally.refresh_from_db()
    assert (tally.status, tally.error) == (TallyStatus.DONE, "")
    assert (tally.examples, tally.truncated, tally.skipped) == (2, 1, 0)
    assert 64 < tally.tokens <= 128
    assert 0 < tally.trainable_tokens < tally.tokens
    assert tally.longest > 64
    assert sum(count for _upto, count in tally.histogram) == 2
    assert tally_file(file=file, release=base, max_length=64) == tally


def test_what_is_counted_is_what_is_trained(add: Add, base: Release, tmp_path: Path) -> None:
    file = add(lines(*[{"prompt": "to be " * n, "completion": "or not"} for n in range(40)]))
    tally = tally_file(file=file, release=base, max_length=48)
    run_tally(tally.pk)
    tally.refresh_from_db()
    encoder = training_data.training_encoder(tmp_path / "base")
    path = Path(default_storage.path(Blob(sha256=file.sha256).storage_name))
    skipped: list[training_data.Fault] = []
    records = training_data.read_records(path, filename=file.filename, format=file.format, mapping=file.mapping)
    made = list(training_data.encode_records(records, encoder, max_length=48, skipped=skipped))
    assert (tally.examples, tally.skipped) == (len(made), len(skipped))
    assert tally.skipped > 0
    assert tally.tokens == sum(example.tokens for example in made)
    assert tally.trainable_tokens == sum(example.trainable_tokens for example in made)


def test_a_context_that_holds_no_answer_at_all_fails_with_a_sentence(add: Add, base: Release) -> None:
    file = add(lines({"prompt": "to be " * 100, "completion": "or not"}))
    tally = tally_file(file=file, release=base, max_length=16)
    run_tally(tally.pk)
    tally.refresh_from_db()
    assert tally.status == TallyStatus.FAILED
    assert "Shorten the prompt" in tally.error


def test_only_a_file_that_can_be_used_is_counted(add: Add, base: Release, organization: Organization) -> None:
    with pytest.raises(FileNotReady, match="cannot be used"):
        tally_file(file=add(b"{broken\n" + lines(CHAT)), release=base, max_length=64)
    waiting = add_file(upload=sent(organization, "a.jsonl", lines(CHAT)), user=None)
    with pytest.raises(FileNotReady, match="still being read"):
        tally_file(file=waiting, release=base, max_length=64)
    with pytest.raises(InvalidRequest):
        tally_file(file=add(), release=base, max_length=2)


def test_describing_a_file_anew_forgets_what_was_counted(add: Add, base: Release, consumer: User) -> None:
    file = add()
    tally_file(file=file, release=base, max_length=64)
    describe_file(file=file, user=consumer, format="chat", mapping={})
    assert not Tally.objects.exists()
