from __future__ import annotations

import hashlib

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Blob, Commit, CommitFile, Listing, ReleaseFile

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
WEBP = b"RIFF\x10\0\0\0WEBPVP8 " + bytes(8)
OID = "b" * 40


def stored(data: bytes, *, size: int | None = None) -> Blob:
    sha256 = hashlib.sha256(data).hexdigest()
    blob = Blob.objects.create(sha256=sha256, size=len(data) if size is None else size)
    if not default_storage.exists(blob.storage_name):
        default_storage.save(blob.storage_name, ContentFile(data))
    return blob


def address(listing: Listing, path: str, *, revision: str = "") -> str:
    assert listing.current_release
    return f"/provider/bard/image/{revision or listing.current_release.digest[7:47]}/{path}"


def add(listing: Listing, path: str, data: bytes, *, size: int | None = None) -> str:
    ReleaseFile.objects.create(release=listing.current_release, path=path, blob=stored(data, size=size))
    return address(listing, path)


def test_an_image_of_a_release_is_served_as_what_it_is(client: Client, listing: Listing) -> None:
    for path, data, media_type in (("assets/a.png", PNG, "image/png"), ("b.png", WEBP, "image/webp")):
        answer = client.get(add(listing, path, data))
        assert answer.content == data
        assert answer["Content-Type"] == media_type
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"].startswith("sandbox") or "sandbox" in answer["Content-Security-Policy"]
        assert "immutable" in answer["Cache-Control"]


@pytest.mark.parametrize("data", [b"<html><script>alert(1)</script>", b"<svg onload=alert(1)>", b"", b"\x89PN"])
def test_what_is_no_image_by_its_bytes_is_not_served(client: Client, listing: Listing, data: bytes) -> None:
    assert client.get(add(listing, "evil.png", data)).status_code == 404


def test_what_is_too_large_for_a_card_is_not_served(client: Client, listing: Listing) -> None:
    assert client.get(add(listing, "big.png", PNG, size=5 * 1024 * 1024)).status_code == 404


def test_who_may_not_see_the_listing_may_not_see_its_images(client: Client, seller: Client, listing: Listing) -> None:
    image = add(listing, "a.png", PNG)
    Listing.objects.update(is_private=True)
    assert client.get(image).status_code == 404
    assert seller.get(image).status_code == 200


def test_images_of_a_commit_are_for_those_who_work_on_it(
    browser: Client, seller: Client, listing: Listing, provider: User, moderator: User
) -> None:
    commit = Commit.objects.create(
        listing=listing, oid=OID, digest=f"sha256:{'c' * 64}", title="x", size=1, author=provider
    )
    CommitFile.objects.create(commit=commit, path="draft.png", blob=stored(PNG))
    image = address(listing, "draft.png", revision=OID)
    assert seller.get(image).content == PNG
    judge = Client()
    judge.force_login(moderator)  # who sees it before anybody else does
    assert judge.get(image).content == PNG
    for visitor in (Client(), browser):
        assert visitor.get(image).status_code == 404


@pytest.mark.parametrize("path", ["none.png", "../a.png", "%2e%2e/a.png", "%00", "a.png/", "x" * 5000])
def test_a_path_that_is_none_is_a_404(client: Client, listing: Listing, path: str) -> None:
    add(listing, "a.png", PNG)
    assert client.get(address(listing, path)).status_code == 404


def test_another_revision_and_another_verb_get_nothing(client: Client, listing: Listing) -> None:
    image = add(listing, "a.png", PNG)
    assert client.get(address(listing, "a.png", revision="f" * 40)).status_code == 404
    assert client.post(image).status_code == 405
