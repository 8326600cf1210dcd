"""A pickle on its way to safetensors: who may ask, what a worker is given and says, and what stays of it."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.utils import timezone

from inference.wire import ConversionReport
from store.accounts.models import AccessToken, User
from store.catalog.actions import NotInThisState
from store.catalog.models import Conversion, ConversionStatus, Listing, Release
from store.errors import NotFound
from store.uploads.actions import begin_upload, finish_upload, store_bytes
from store.uploads.conversions import (
    begin_conversion,
    cancel_conversion,
    due_conversions,
    source_of,
    start_conversion,
    take_conversion,
)
from store.uploads.models import Purpose, Upload, UploadStatus
from tests.conftest import make_listing
from tests.store.catalog.drafts import make_draft
from tests.store.uploads.test_actions import arrive

S = ConversionStatus
PICKLE = b"PK\x03\x04 of a state dict"
CONFIG = b'{"converted": true}'


@pytest.fixture
def draft(provider: User) -> Listing:
    return make_draft(provider)


@pytest.fixture
def base(provider: User) -> Release:
    release = make_listing(provider.personal_organization, "base").current_release
    assert release is not None
    return release


@pytest.fixture
def upload(provider: User) -> Upload:
    """A pickle that has arrived."""
    upload = begin_upload(
        organization=provider.personal_organization, user=provider, path="weights.pth", size=len(PICKLE), purpose=Purpose.CONVERSION
    )  # fmt: skip
    arrive(upload, PICKLE)
    finish_upload(upload_id=upload.pk)
    upload.refresh_from_db()
    assert upload.status == UploadStatus.DONE
    return upload


def hear(conversion: Conversion, attempt: int, **report: Any) -> Conversion:
    message = ConversionReport(**report).as_json()
    take_conversion(conversion_id=conversion.pk, attempt=attempt, message=message)
    conversion.refresh_from_db()
    return conversion


pytestmark = pytest.mark.django_db


def test_what_a_worker_has_sent_becomes_files_of_main(
    draft: Listing, provider: User, upload: Upload, base: Release, django_capture_on_commit_callbacks: Any
) -> None:
    conversion = start_conversion(listing=draft, user=provider, upload=upload, base=base)
    assert start_conversion(listing=draft, user=provider, upload=upload, base=base) == conversion
    assert due_conversions() == [conversion.pk]
    begun = begin_conversion(conversion.pk)
    assert begun is not None
    assert (begun[0].attempts, begun[1], begin_conversion(conversion.pk)) == (1, upload, None)
    assert hear(conversion, 1, status="running", progress=0.5).progress == 0.5
    sent = store_bytes(organization=draft.organization, user=provider, path="config.json", data=CONFIG)
    with django_capture_on_commit_callbacks(execute=True):
        hear(conversion, 1, status="done", files={"config.json": sent.sha256}, notes=["Two matrices were transposed."])
    assert (conversion.status, conversion.notes) == (S.SUCCEEDED, ["Two matrices were transposed."])
    assert conversion.commit is not None
    assert dict(conversion.commit.files.values_list("path", "blob_id"))["config.json"] == sent.sha256
    upload.refresh_from_db()
    assert upload.status == UploadStatus.CANCELLED
    assert not AccessToken.objects.usable().exists()


def test_a_refusal_is_a_sentence_and_another_base_may_be_tried(
    draft: Listing, provider: User, upload: Upload, base: Release
) -> None:
    conversion = start_conversion(listing=draft, user=provider, upload=upload, base=base)
    begin_conversion(conversion.pk)
    hear(conversion, 1, status="refused", error="It holds code.")
    assert (conversion.status, conversion.error) == (S.FAILED, "It holds code.")
    assert start_conversion(listing=draft, user=provider, upload=upload, base=base) != conversion


def test_a_failure_is_tried_three_times_each_with_a_token_of_its_own(
    draft: Listing, provider: User, upload: Upload, base: Release
) -> None:
    conversion = start_conversion(listing=draft, user=provider, upload=upload, base=base)
    for attempt in (1, 2, 3):
        begun = begin_conversion(conversion.pk)
        assert begun is not None
        assert AccessToken.objects.usable().count() == 1
        hear(conversion, attempt, status="failed", error="No room.")
    assert (conversion.status, AccessToken.objects.usable().count()) == (S.FAILED, 0)


def test_what_is_cancelled_is_heard_of_no_more_and_its_file_may_be_tried_again(
    draft: Listing, provider: User, upload: Upload, base: Release
) -> None:
    conversion = start_conversion(listing=draft, user=provider, upload=upload, base=base)
    begin_conversion(conversion.pk)
    assert cancel_conversion(listing=draft, user=provider).status == S.CANCELLED
    assert hear(conversion, 1, status="done", files={"config.json": "0" * 64}).status == S.CANCELLED
    assert (AccessToken.objects.usable().count(), due_conversions()) == (0, [])
    with pytest.raises(NotFound):
        source_of(conversion.pk, provider)
    with pytest.raises(NotFound):
        cancel_conversion(listing=draft, user=provider)
    assert start_conversion(listing=draft, user=provider, upload=upload, base=base) != conversion


def test_only_who_publishes_cancels(
    draft: Listing, provider: User, stranger: User, upload: Upload, base: Release
) -> None:
    start_conversion(listing=draft, user=provider, upload=upload, base=base)
    with pytest.raises(NotFound):
        cancel_conversion(listing=draft, user=stranger)


def test_an_older_attempt_is_not_heard(draft: Listing, provider: User, upload: Upload, base: Release) -> None:
    conversion = start_conversion(listing=draft, user=provider, upload=upload, base=base)
    begin_conversion(conversion.pk)
    Conversion.objects.update(due_at=timezone.now())
    begin_conversion(conversion.pk)
    assert hear(conversion, 1, status="refused", error="No.").status == S.QUEUED


def test_files_that_cannot_be_in_a_repository_are_refused_with_a_sentence(
    draft: Listing, provider: User, upload: Upload, base: Release
) -> None:
    conversion = start_conversion(listing=draft, user=provider, upload=upload, base=base)
    begin_conversion(conversion.pk)
    hear(conversion, 1, status="done", files={"config.json": "0" * 64})
    assert conversion.status == S.FAILED
    assert "has not arrived" in conversion.error


def test_only_ones_own_pickle_is_converted_for_a_base_that_one_sees(
    draft: Listing, provider: User, stranger: User, upload: Upload, base: Release
) -> None:
    other = make_listing(stranger.personal_organization, "other")
    Listing.objects.filter(pk=other.pk).update(is_private=True)
    plain = begin_upload(organization=draft.organization, user=provider, path="config.json", size=3)
    for wanted in (
        {"user": stranger, "upload": upload, "base": base},
        {"user": provider, "upload": plain, "base": base},
        {"user": provider, "upload": upload, "base": other.current_release},
    ):
        with pytest.raises(NotFound):
            start_conversion(listing=draft, **wanted)  # type: ignore[arg-type]
    Upload.objects.filter(pk=upload.pk).update(status=UploadStatus.OPEN)
    upload.refresh_from_db()
    with pytest.raises(NotInThisState):
        start_conversion(listing=draft, user=provider, upload=upload, base=base)


@pytest.mark.django_db(transaction=True)
async def test_the_worker_fetches_the_file_with_the_token_of_its_attempt(
    draft: Listing, provider: User, upload: Upload, base: Release
) -> None:
    conversion = await sync_to_async(start_conversion)(listing=draft, user=provider, upload=upload, base=base)
    begun = await sync_to_async(begin_conversion)(conversion.pk)
    assert begun is not None
    client, address = AsyncClient(), f"/api/conversions/{conversion.pk}/source"
    answer = await client.get(address, headers={"Authorization": f"Bearer {begun[2]}"})
    assert answer.status_code == 200
    assert b"".join([chunk async for chunk in answer.streaming_content]) == PICKLE
    assert (await client.get(address)).status_code == 401
    assert (await client.get(address, headers={"Authorization": "Bearer gsu_no"})).status_code == 401
