"""Forms, in whatever pieces they come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from store.errors import InvalidRequest
from store.uploads.errors import BadHeader
from store.uploads.multipart import MAX_FIELD_BYTES, Form, boundary_of

FILE = b"line\r\n--not the boundary\r\n\r\n--b0und\r\n" * 50


def form_of(file: bytes = FILE, boundary: bytes = b"b0undary") -> bytes:
    head = b'--%s\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n' % boundary
    named = b'--%s\r\nContent-Disposition: form-data; name="file"; filename="C:\\tmp\\d\xc3\xa4ta.jsonl"\r\nContent-Type: text/plain\r\n\r\n'
    return b"preamble\r\n" + head + named % boundary + file + b"\r\n--" + boundary + b"--\r\nepilogue"


def fed(body: bytes, size: int) -> tuple[Form, bytes]:
    came: list[bytes] = []

    def write(chunks: Sequence[bytes]) -> None:
        came.extend(chunks)

    form = Form(b"b0undary", file_field="file", write=write)
    for begin in range(0, len(body), size):
        form.feed([body[begin : begin + size]])
    return form, b"".join(came)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_a_form_is_the_same_in_whatever_pieces_it_comes(size: int) -> None:
    form, file = fed(form_of(), size)
    assert form.is_whole
    assert form.fields == {"purpose": "fine-tune"}
    assert (form.filename, file, form.size) == ("däta.jsonl", FILE, len(FILE))


def test_an_empty_file_is_a_file() -> None:
    form, file = fed(form_of(b""), 5)
    assert form.is_whole
    assert (file, form.size) == (b"", 0)


def test_a_form_that_is_cut_off_is_not_whole() -> None:
    body = form_of()
    form, _file = fed(body[:-30], 64)
    assert not form.is_whole


@pytest.mark.parametrize(
    "body",
    [
        b"--b0undaryX\r\n\r\n",
        b"--b0undary\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b0undary--",
        b"--b0undary\r\n\r\nx\r\n--b0undary--",
        b"--b0undary\r\nX: " + b"y" * 20_000,
        b'--b0undary\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\nx\r\n--b0undary--',
        b'--b0undary\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
        + b"x" * (MAX_FIELD_BYTES + 100)
        + b"\r\n--b0undary--",
        b'--b0undary\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b0undary--',
        (b'--b0undary\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx\r\n') * 2 + b"--b0undary--",
    ],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        fed(body, 50)


@pytest.mark.parametrize(
    "header", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 80]
)
def test_a_content_type_without_a_boundary_is_refused(header: str) -> None:
    with pytest.raises(BadHeader):
        boundary_of(header)


def test_a_boundary_is_read() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"
