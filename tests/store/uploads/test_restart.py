"""A real web process is killed in the middle, and its successor goes on from the byte where it stood."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.accounts.models import TokenScope
from store.accounts.tokens import issue_token
from store.catalog.models import Blob, OrganizationBlob, StorageUse
from store.uploads.models import Upload
from tests.store.live import Live, live
from tests.store.uploads.tus_client import MB, TusClient, checksum, content, sha256
from tests.waiting import await_that

__all__ = ["live"]

DATA = content(8 * MB)


@pytest.fixture(autouse=True)
def files() -> None:
    """In the place of the package's: the processes have a folder of their own."""


@pytest.fixture
def sender(live: Live) -> Iterator[TusClient]:
    assert live.buyer.personal_of
    issued = issue_token(user=live.buyer.personal_of, name="test", scopes=[TokenScope.WRITE])
    yield TusClient(live.url, issued.secret)
    for model in (Upload, OrganizationBlob, Blob, StorageUse):
        model._base_manager.all().delete()


def test_an_upload_goes_on_after_the_server_was_killed(live: Live, sender: TusClient) -> None:
    link = sender.link(live.buyer.slug, len(DATA), sha256=sha256(DATA))
    assert sender.patch(link, 0, DATA[:MB], **checksum(DATA[:MB])).status_code == 204
    connection = sender.begin_chunk(link, MB, len(DATA) - MB, DATA[MB : 6 * MB])
    stream = live.servers.data_dir / "uploads" / Upload.objects.get().pk.hex / "stream"
    await_that(lambda: stream.stat().st_size > 3 * MB, "some of the chunk lies on the disk")
    live.kill("web")
    connection.close()
    successor = TusClient(live.start_web(), sender.http.headers["Authorization"].removeprefix("Bearer "))
    offset = successor.offset(link)
    assert 3 * MB < offset <= 6 * MB
    assert successor.patch(link, offset, DATA[offset:]).status_code == 204
    assert Blob.objects.get().sha256 == sha256(DATA)
    assert StorageUse.objects.get().reserved_bytes == 0
