"""Files of training data, good and bad, into records and faults."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from inference.training.data import BadData, DataFormat, Fault, Record, columns_of, container_of, read_records, scan
from inference.training.data.lines import MAX_LINE_BYTES
from inference.training.data.rows import PIECE_CHARS

USER, ANSWER = {"role": "user", "content": "Who's there?"}, {"role": "assistant", "content": "Nay, answer me."}
CHAT = {"messages": [USER, ANSWER]}


def written(path: Path, lines: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def scanned(path: Path, **options: Any) -> list[Record | Fault]:
    return list(scan(path, ignored={}, **options))


def fault_of(path: Path, **options: Any) -> Fault:
    """The one fault of a file."""
    (fault,) = [found for found in scanned(path, **options) if isinstance(found, Fault)]
    return fault


@pytest.mark.parametrize(
    ("line", "form", "fields"),
    [
        (CHAT, DataFormat.CHAT, {"messages": [USER, ANSWER], "tools": None}),
        ({"prompt": "a", "completion": " b"}, DataFormat.COMPLETION, {"prompt": "a", "completion": " b"}),
        ({"text": "a b"}, DataFormat.TEXT, {"text": "a b", "goes_on": False}),
        (
            {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER | {"content": "No."}]},
            DataFormat.PREFERENCE,
            {"prompt": [USER], "chosen": [ANSWER], "rejected": [ANSWER | {"content": "No."}], "tools": None},
        ),
        (
            {"prompt": "[1, 2]", "chosen": "yes", "rejected": "no"},
            DataFormat.PREFERENCE,
            {"prompt": "[1, 2]", "chosen": "yes", "rejected": "no", "tools": None},
        ),
        (
            {"chosen": [USER, ANSWER], "rejected": [USER, ANSWER | {"content": "No."}]},
            DataFormat.PREFERENCE,
            {"prompt": [USER], "chosen": [ANSWER], "rejected": [ANSWER | {"content": "No."}], "tools": None},
        ),
    ],
)  # fmt: skip
def test_the_format_is_found_out(tmp_path: Path, line: Any, form: DataFormat, fields: dict[str, Any]) -> None:
    (record,) = read_records(written(tmp_path / "data.jsonl", [line]))
    assert record == Record(1, form, fields)


def test_records_come_in_order_and_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("\ufeff" + json.dumps({"text": "one"}) + "\r\n\n" + json.dumps({"text": "drei 🙂"}), "utf-8")
    assert [(record.line, record.fields["text"]) for record in read_records(path)] == [(1, "one"), (3, "drei 🙂")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({"messages": []}, "bad_field"),
        ({"messages": "hello"}, "bad_field"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "bad_role"),
        ({"messages": [USER]}, "no_answer"),
        ({"messages": [USER, ANSWER | {"weight": 0}]}, "no_answer"),
        ({"messages": [USER, ANSWER | {"content": " \n"}]}, "empty_answer"),
        ({"messages": [USER, ANSWER | {"content": None}]}, "empty_answer"),
        ({"messages": [USER, ANSWER | {"weight": 2}]}, "bad_weight"),
        ({"messages": [USER | {"weight": 1}, ANSWER]}, "bad_weight"),
        ({"messages": [USER | {"content": [{"type": "image_url", "image_url": {}}]}, ANSWER]}, "bad_content"),
        ({"messages": [USER, ANSWER | {"content": 3}]}, "bad_content"),
        ({"messages": [USER, ANSWER], "tools": "hammer"}, "bad_field"),
        ({"messages": [USER, ANSWER | {"content": "half \ud83d of one"}]}, "surrogate"),
        ({"messages": [USER, ANSWER | {"content": "N\0U\0L"}]}, "nul"),
        ({"messages": [USER] * 600 + [ANSWER]}, "too_long"),
        ({"no": "messages"}, "bad_field"),
        ([1, 2], "not_an_object"),
        ("text", "not_an_object"),
    ],
)
def test_a_bad_line_is_a_fault_and_the_others_are_read(tmp_path: Path, line: Any, code: str) -> None:
    found = scanned(written(tmp_path / "data.jsonl", [CHAT, line, CHAT]))
    assert [type(item) for item in found] == [Record, Fault, Record]
    fault = found[1]
    assert isinstance(fault, Fault)
    assert (fault.line, fault.code) == (2, code)
    assert len(fault.message) > 10


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"text": "a"', "json"),
        (b'{"text": "raw \0 nul"}', "json"),
        (b"[" * 100_000, "json"),
        (b'{"a":' * 100_000, "json"),
        (b'{"text": NaN}', "json"),
        (b'{"text": ' + b"9" * 5_000 + b"}", "json"),
        (b'{"text": "caf\xe9"}', "encoding"),
    ],
)
def test_what_is_no_json_is_a_fault(tmp_path: Path, raw: bytes, code: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"text": "good"}\n' + raw + b"\n")
    fault = fault_of(path)
    assert (fault.line, fault.code) == (2, code)


def test_a_wrong_byte_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"text": "good"}\n{"text": "caf\xe9"}\n')
    assert "Byte 30 of the file, 0xe9" in fault_of(path).message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_another_unicode_is_refused_whole(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(("\ufeff" if encoding == "utf-16-be" else "").encode(encoding) + '{"text": "a"}'.encode(encoding))
    with pytest.raises(BadData, match="Save it as UTF-8"):
        list(read_records(path))


def test_a_line_that_is_far_too_long_is_skipped_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "good"}\n{"text": "')
        for _ in range(25):
            file.write(b"x" * MAX_LINE_BYTES)
        file.write(b'"}\n{"text": "good"}\n')
    good, fault, after = scanned(path)
    assert isinstance(fault, Fault)
    assert (fault.line, fault.code) == (2, "too_long")
    assert str(25 * MAX_LINE_BYTES + 13) in fault.message
    assert isinstance(good, Record)
    assert isinstance(after, Record)
    assert after.line == 3


def test_keys_that_nobody_reads_are_counted(tmp_path: Path) -> None:
    ignored: dict[str, int] = {}
    line = {"messages": [USER | {"mood": "x"}, ANSWER], "id": 1, "parallel_tool_calls": False}
    assert all(
        isinstance(found, Record) for found in scan(written(tmp_path / "a.jsonl", [line, line]), ignored=ignored)
    )
    assert ignored == {"id": 2, "message.mood": 2}


def test_unknown_keys_say_which_formats_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"“question”, “answer”.*Known are") as raised:
        list(read_records(written(tmp_path / "a.jsonl", [{"question": "a", "answer": "b"}])))
    assert raised.value.fault.code == "format"


def test_a_mapping_names_the_keys_of_a_jsonl_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"question": "a", "answer": "b"}])
    (record,) = read_records(path, mapping={"prompt": "question", "completion": "answer"})
    assert record.fields == {"prompt": "a", "completion": "b"}


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadData, match="nothing in the file"):
        list(read_records(path))


def test_a_csv_is_read_with_its_own_delimiter_and_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('question;answer\n"two\nlines, and; more";b\nc;d\ne;f;g\nh;i\n')
    found = scanned(path, mapping={"prompt": "question", "completion": "answer"})
    lines = [(item.line, item.fields["prompt"] if isinstance(item, Record) else item.code) for item in found]
    assert lines == [(2, "two\nlines, and; more"), (4, "c"), (5, "columns"), (6, "h")]
    assert columns_of(path, container_of("a.csv")) == ["question", "answer"]


def test_a_csv_may_hold_dialogues_as_json(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    cell = json.dumps([USER, ANSWER]).replace('"', '""')
    path.write_text(f'messages,note\n"{cell}",x\n')
    (record,) = read_records(path)
    assert record.fields["messages"] == [USER, ANSWER]


def test_a_csv_with_a_wrong_byte_goes_on_after_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"prompt,completion\na,b\ncaf\xe9,d\ne,f\n")
    found = scanned(path)
    assert [(item.line, isinstance(item, Record)) for item in found] == [(2, True), (3, False), (4, True)]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_mapping_that_names_no_column_is_refused_with_those_there_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("question,answer\na,b\n")
    else:
        parquet.write_table(pa.table({"question": ["a"], "answer": ["b"]}), path)
    with pytest.raises(BadData, match=r"no column 'frage'. The columns are: question, answer") as raised:
        list(read_records(path, mapping={"prompt": "frage", "completion": "answer"}))
    assert raised.value.fault.code == "mapping"


def test_a_parquet_is_read_in_batches_with_its_rows_numbered(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    messages = [[USER, ANSWER | {"weight": None}]] * 600
    parquet.write_table(pa.table({"messages": messages, "id": list(range(600))}), path, row_group_size=100)
    records = list(read_records(path))
    assert [record.line for record in records] == list(range(1, 601))
    assert records[-1].fields["messages"] == [USER, ANSWER]


@pytest.mark.parametrize("cut", [0, 3, 200, -20])
def test_a_broken_parquet_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": [f"line {n}" for n in range(1000)]}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    with pytest.raises(BadData) as raised:
        list(read_records(path))
    assert raised.value.fault.code == "parquet"


def test_a_parquet_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": [f"line {n}" for n in range(10_000)]}), path)
    whole = bytearray(path.read_bytes())
    whole[40:4000] = b"\xff" * 3960
    path.write_bytes(whole)
    with pytest.raises(BadData):
        list(read_records(path))


def test_a_running_text_comes_in_pieces_cut_at_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    text = "\n\n".join("word " * 200 + str(n) for n in range(100)) + "\n"
    path.write_text(text)
    records = list(read_records(path))
    assert "".join(record.fields["text"] for record in records) == text
    assert all(len(record.fields["text"]) <= PIECE_CHARS for record in records)
    assert all(record.fields["text"].endswith("\n\n") for record in records[:-1])
    assert [record.fields["goes_on"] for record in records] == [True] * (len(records) - 1) + [False]
    assert records[1].line == records[0].fields["text"].count("\n") + 1


def test_a_text_without_any_line_end_is_cut_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x" * (3 * PIECE_CHARS))
    assert sum(len(record.fields["text"].strip("\n")) for record in read_records(path)) == 3 * PIECE_CHARS


def test_a_name_that_says_nothing_is_refused() -> None:
    with pytest.raises(BadData, match="ends with none of"):
        container_of("data.xlsx")
