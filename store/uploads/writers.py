"""The three ways in which a request's bytes become a file: a chunk of the stream, the whole file, a numbered part.

They are used from threads, one call at a time; ``close`` may come from anywhere.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

from store.uploads import digests
from store.uploads.digests import Running
from store.uploads.errors import ChecksumMismatch, Incomplete, TooLarge, WrongOffset
from store.uploads.headers import Checksum
from store.uploads.models import Upload, UploadPart
from store.uploads.part_file import (
    PARTS,
    STREAM,
    UNVERIFIED,
    WHOLE,
    Held,
    Output,
    check_room,
    stream_length,
)


class StreamWriter:
    """One chunk at the end of the stream. Without a checksum what has arrived counts, however it ends; with one, all or nothing."""

    def __init__(
        self, upload: Upload, right: Held, *, offset: int, length: int | None, checksum: Checksum | None
    ) -> None:
        """``length`` is that of the chunk, where it is known. Raises WrongOffset, TooLarge and DiskFull."""
        self.upload, self.right = upload, right
        self.begin, missing = stream_length(upload.pk), upload.size - offset
        if self.begin != offset:
            raise WrongOffset(self.begin)
        if length is not None and length > missing:
            raise TooLarge(f"{missing} bytes are missing, and these are {length}.")
        check_room(missing if length is None else length)
        self._mark = right.folder / UNVERIFIED
        self._output = Output(right.folder / STREAM)
        self._output.end_at(self.begin)  # what an unverified chunk left behind its begin goes
        self._mark.unlink(missing_ok=True)
        running = digests.known(upload.pk)
        self._running = running.digest if running.position == self.begin else None
        self._checksum = checksum
        self._check = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        if checksum:
            fresh = self._mark.with_suffix(".new")
            fresh.write_text(str(self.begin))
            fresh.replace(self._mark)

    @property
    def position(self) -> int:
        return self._output.position

    def write(self, chunks: Sequence[bytes]) -> None:
        """Raises what ``Output.write`` raises."""
        self._output.write(chunks)
        for digest in (self._running, self._check):
            if digest:
                for chunk in chunks:
                    digest.update(chunk)

    def settle(self, *, is_whole: bool) -> None:
        """Ends the chunk; ``position`` is the new offset. Raises ChecksumMismatch."""
        if self._check and self._checksum:
            verified = is_whole and self._check.digest() == self._checksum.expected
            self._output.end_at(self.position if verified else self.begin)
            self._mark.unlink(missing_ok=True)
            if not verified:
                if is_whole:
                    raise ChecksumMismatch
                return
        self._output.end_at(self.position)
        if self._running:
            digests.keep(self.upload.pk, Running(self._running, self.position))

    def close(self) -> None:
        self._output.close()
        self.right.release()


class WholeWriter:
    """A file in one piece, as Git LFS sends it. Nothing is kept of one that is cut off."""

    def __init__(self, upload: Upload, right: Held) -> None:
        """Raises DiskFull."""
        check_room(upload.size)
        self.upload, self.right = upload, right
        self.path = right.folder / WHOLE
        self._output = Output(self.path)
        self._output.end_at(0)
        self._digest = hashlib.sha256()
        self._is_whole = False

    def write(self, chunks: Sequence[bytes]) -> None:
        self._output.write(chunks)
        for chunk in chunks:
            self._digest.update(chunk)

    def settle(self) -> str:
        """The digest of the file. Raises Incomplete."""
        if self._output.position != self.upload.size:
            raise Incomplete(f"{self._output.position} of {self.upload.size} bytes came.")
        self._is_whole = True
        return self._digest.hexdigest()

    def close(self) -> None:
        self._output.close()
        if not self._is_whole:
            self.path.unlink(missing_ok=True)
        self.right.release()


class PartWriter:
    """A part at its place; parts may come in any order and at the same time."""

    def __init__(self, upload: Upload, right: Held, number: int) -> None:
        """Raises DiskFull."""
        assert upload.part_size
        self.upload, self.right, self.number = upload, right, number
        self._begin = (number - 1) * upload.part_size
        self.size = min(upload.part_size, upload.size - self._begin)
        check_room(self.size)
        # Until it has come whole again, a part that is sent twice is not there.
        UploadPart.objects.filter(upload=upload, number=number).delete()
        self._output = Output(right.folder / PARTS, begin=self._begin)
        self._crc = 0

    def write(self, chunks: Sequence[bytes]) -> None:
        self._output.write(chunks)
        for chunk in chunks:
            self._crc = zlib.crc32(chunk, self._crc)

    def settle(self) -> str:
        """Writes down that the part is here; its ETag. Raises Incomplete."""
        came = self._output.position - self._begin
        if came != self.size:
            raise Incomplete(f"Part {self.number} has {self.size} bytes, and {came} came.")
        etag = f"{self._crc:08x}"
        UploadPart.objects.update_or_create(upload=self.upload, number=self.number, defaults={"etag": etag})
        return etag

    def close(self) -> None:
        self._output.close()
        self.right.release()
