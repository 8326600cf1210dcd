"""A file that comes in a form, straight from the socket to the disk: where its size is known only once it is here."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from store.accounts.models import Organization
from store.errors import InvalidRequest
from store.uploads.actions import begin_upload, cancel_upload, settle_upload
from store.uploads.errors import BadHeader, Incomplete
from store.uploads.finishing import Arrived, finish_held
from store.uploads.headers import read_number
from store.uploads.models import Purpose, Upload
from store.uploads.multipart import Form, boundary_of
from store.uploads.part_file import STREAM, Held, Output, check_room
from store.uploads.receiving import Receive, in_thread, pour
from store.uploads.request import held

ARRIVING = "arriving"  # the name of a file while its own is not known
UNNAMED = "data.jsonl"  # what a client without a name for its file most likely sends


class FormFile:
    """The file of a form, being written. ``sha256`` is that of what has come."""

    def __init__(self, path: Path, right: Held) -> None:
        self.path, self._right = path, right
        self._output = Output(path)
        self._output.end_at(0)
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, chunks: Sequence[bytes]) -> None:
        self._output.write(chunks)
        for chunk in chunks:
            self._digest.update(chunk)

    def close(self) -> None:
        self._output.close()
        self._right.release()


def length_of(header: str) -> int:
    """The Content-Length of a form: what is set aside before its file is measured. Raises BadHeader."""
    if not header:
        raise BadHeader(
            "Say the Content-Length. A file of unknown length comes in parts, by /v1/uploads.", param="Content-Length"
        )
    return read_number("Content-Length", header)


async def receive_file(
    receive: Receive,
    *,
    content_type: str,
    length: int,
    organization: Organization,
    check: Callable[[dict[str, str]], object],
) -> tuple[Upload, dict[str, str]]:
    """Takes in a form with a file in the field ``file``. Returns the upload, which is DONE, and the form's other fields.

    ``check`` sees those before anything is kept. Raises what it raises, what ``begin_upload``, ``pour`` and ``finish_upload`` raise, and InvalidRequest; then nothing is kept.
    """
    boundary = boundary_of(content_type)
    upload = await in_thread(
        partial(begin_upload, organization=organization, user=None, path=ARRIVING, size=length, purpose=Purpose.DATA)
    )
    try:
        right = await held(upload)
        file = await in_thread(FormFile, right.folder / STREAM, right)
        try:
            form = Form(boundary, file_field="file", write=file.write)
            await pour(receive, form.feed, right=right, most=length)
            check_whole(form, "file")
            check(form.fields)
            await in_thread(settle_upload, upload=upload, size=form.size, path=form.filename or UNNAMED)
            await in_thread(finish_held, upload, Arrived(file.path, file.sha256))
        finally:
            await in_thread(file.close)
    except BaseException:
        with suppress(Exception):  # what went wrong first is what is told; the clock ends the upload otherwise
            await in_thread(cancel_upload, upload=upload)
        raise
    return upload, form.fields


async def receive_part(receive: Receive, *, content_type: str, length: int, upload: Upload) -> tuple[Path, int]:
    """Takes in a form with a part of a file in the field ``data``. Returns where it lies, in the upload's folder, and its size.

    Raises what ``pour`` raises, DiskFull, and InvalidRequest; then nothing is kept.
    """
    boundary = boundary_of(content_type)
    await in_thread(check_room, length)
    right = await held(upload, shared=True)
    path = right.folder / f"part-{secrets.token_hex(16)}"
    file = await in_thread(FormFile, path, right)
    is_whole = False
    try:
        form = Form(boundary, file_field="data", write=file.write)
        await pour(receive, form.feed, right=right, most=length)
        check_whole(form, "data")
        is_whole = True
    finally:
        if not is_whole:
            path.unlink(missing_ok=True)
        await in_thread(file.close)
    return path, form.size


def check_whole(form: Form, field: str) -> None:
    """Raises Incomplete and InvalidRequest."""
    if not form.is_whole:
        raise Incomplete("The form is not whole.")
    if form.filename is None:
        raise InvalidRequest(f"The form has no file in its field {field!r}.", param=field)
    if not form.size:
        raise InvalidRequest("The file is empty.", param=field)
