"""A link is all that a client needs, and cannot be made by one."""

from __future__ import annotations

from store.accounts.models import Organization
from store.uploads.actions import begin_upload
from store.uploads.links import is_link, upload_path
from store.uploads.models import Upload
from tests.store.uploads.conftest import committed as db
from tests.store.uploads.tus_client import TusClient

__all__ = ["db"]


def test_a_forged_link_opens_nothing(server: str, organization: Organization) -> None:
    upload = begin_upload(organization=organization, user=None, path="model.safetensors", size=10)
    good = upload_path(upload)
    signed, _colon, signature = good.rpartition(":")
    other = begin_upload(organization=organization, user=None, path="model.safetensors", size=10)
    forged = [
        f"{upload_path(other).rpartition(':')[0]}:{signature}",
        f"{signed}:{signature[:-1]}",
        f"{signed}:",
        f"{good}/0",
        f"{good}/1/2",
        f"{good}/1000000",
        f"/uploads/{upload.pk.hex}:",
        "/uploads/../../etc:passwd",
    ]
    client = TusClient(server)
    for path in forged:
        assert is_link(path)
        assert [client.head(path).status_code, client.patch(path, 0, b"x").status_code] == [404, 404]
        assert [client.delete(path).status_code, client.http.put(path, content=b"x").status_code] == [404, 404]
    assert client.offset(good) == 0
    Upload.objects.filter(pk=upload.pk).delete()
    assert client.head(good).status_code == 404
