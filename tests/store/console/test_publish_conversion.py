"""A pickle of weights on the pages of who publishes: refused as a file, and offered to be converted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from store.accounts.models import Membership, Role, User
from store.catalog.models import Conversion, ConversionStatus, Listing
from store.console.wizard import head_of
from store.uploads.actions import begin_upload, finish_upload
from store.uploads.models import Purpose, Upload, UploadStatus
from tests.store.console.conftest import Draft
from tests.store.uploads.test_actions import arrive

pytestmark = pytest.mark.django_db

PICKLE = b"PK\x03\x04 of a state dict"
S = ConversionStatus


def post_json(client: Client, address: str, said: Any) -> Any:
    return client.post(address, json.dumps(said), content_type="application/json")


@pytest.fixture
def upload(draft: Draft) -> Upload:
    """A pickle that has arrived."""
    upload = begin_upload(
        organization=draft.listing.organization, user=draft.user, path="weights.pth", size=len(PICKLE), purpose=Purpose.CONVERSION
    )  # fmt: skip
    arrive(upload, PICKLE)
    finish_upload(upload_id=upload.pk)
    upload.refresh_from_db()
    return upload


@pytest.fixture
def conversion(seller: Client, draft: Draft, listing: Listing, upload: Upload) -> Conversion:
    """``weights.pth`` on ``provider/bard``, just asked for."""
    said = {"sha256": upload.sha256, "base": listing.name}
    assert post_json(seller, f"{draft.at}/convert/start", said).status_code == 201
    return Conversion.objects.get()


def shown(client: Client, draft: Draft) -> str:
    return client.get(f"{draft.at}/convert").content.decode()


def test_only_weights_in_a_pickle_are_offered_to_be_converted(seller: Client, draft: Draft) -> None:
    names = ["fine_tuned.pth", "pytorch_model.bin", "checkpoints/a.pt", "optimizer.pt", "model.ckpt", "config.json"]
    said = {"files": [{"path": name, "size": 5} for name in names]}
    files = post_json(seller, f"{draft.manage}/files/look", said).json()["files"]
    assert [each["convertible"] for each in files] == [True, True, True, False, False, False]
    assert "python -m inference.convert" in files[0]["problem"]


def test_the_form_suggests_models_of_full_weights_that_one_sees(
    seller: Client, draft: Draft, listing: Listing, stranger: User
) -> None:
    for page in (f"{draft.at}/files", f"{draft.manage}/files"):
        assert f'<option value="{listing.name}">' in seller.get(page).content.decode()
    Listing.objects.filter(pk=listing.pk).update(current_release=None)
    assert "no model here yet that it could be built on" in seller.get(f"{draft.at}/files").content.decode()


def test_base_and_file_are_looked_at_before_a_byte_is_sent(
    seller: Client, draft: Draft, listing: Listing, upload: Upload
) -> None:
    asked = {"files": [{"path": "weights.pth", "size": upload.size}, {"path": "config.json", "size": 3}]}
    refused = post_json(seller, f"{draft.at}/convert/look?base=provider/nothing", asked)
    assert (refused.status_code, "There is no model" in refused.json()["error"]["message"]) == (404, True)
    weights, config = post_json(seller, f"{draft.at}/convert/look?base={listing.name}", asked).json()["files"]
    assert weights["problem"] == ""
    assert weights["unfinished"]["sha256"] == upload.sha256  # it is here already: nothing is sent twice
    assert "are converted" in config["problem"]


def test_a_private_model_of_others_is_no_base(draft: Draft, listing: Listing, consumer: User, upload: Upload) -> None:
    Membership.objects.create(organization=draft.listing.organization, user=consumer, role=Role.DEVELOPER)
    Listing.objects.filter(pk=listing.pk).update(is_private=True, organization=consumer.personal_organization)
    seller = Client()
    seller.force_login(draft.user)
    said = {"sha256": upload.sha256, "base": "consumer/bard"}
    assert post_json(seller, f"{draft.at}/convert/start", said).status_code == 404
    seller.force_login(consumer)
    assert post_json(seller, f"{draft.at}/convert/start", said).status_code == 201


def test_its_state_is_shown_until_it_has_ended(seller: Client, draft: Draft, conversion: Conversion) -> None:
    assert "It waits for a worker." in shown(seller, draft)
    assert "every 2s" in shown(seller, draft)
    Conversion.objects.update(status=S.RUNNING, progress=0.25)
    assert 'value="0.250"' in shown(seller, draft)
    head = draft.commit("model.safetensors")
    Conversion.objects.update(status=S.SUCCEEDED, commit=head, notes=["Two matrices were <transposed>."])
    page = seller.get(f"{draft.manage}/files").content.decode()
    assert "weights.pth is safetensors now, on main." in page
    assert "Two matrices were &lt;transposed&gt;." in page
    assert "every 2s" not in shown(seller, draft)
    draft.commit("config.json")  # main goes on, and the news is old
    assert "safetensors now" not in shown(seller, draft)


def test_what_failed_is_tried_on_another_base_without_sending_again(
    seller: Client, draft: Draft, conversion: Conversion, upload: Upload, listing: Listing
) -> None:
    Conversion.objects.update(status=S.FAILED, error="These weights are not of this base.")
    assert "These weights are not of this base." in shown(seller, draft)
    assert upload.sha256 in shown(seller, draft)
    form = {"sha256": upload.sha256, "base": "provider/nothing"}
    wrong = seller.post(f"{draft.at}/convert/retry", form)
    assert (wrong.status_code, "field-error" in wrong.content.decode()) == (422, True)
    again = seller.post(f"{draft.at}/convert/retry", form | {"base": listing.name})
    assert "It waits for a worker." in again.content.decode()
    assert Conversion.objects.filter(upload_id=upload.pk).count() == 2


def test_one_that_runs_is_cancelled_and_its_file_stays(
    seller: Client, draft: Draft, conversion: Conversion, upload: Upload
) -> None:
    assert "/convert/cancel" in shown(seller, draft)
    answer = seller.post(f"{draft.at}/convert/cancel").content.decode()
    assert "The conversion of weights.pth was cancelled." in answer
    assert upload.sha256 in answer
    assert "every 2s" not in answer
    conversion.refresh_from_db()
    assert conversion.status == S.CANCELLED
    assert seller.post(f"{draft.at}/convert/cancel").status_code == 200


def test_the_file_of_what_failed_is_thrown_away(
    seller: Client, draft: Draft, conversion: Conversion, upload: Upload
) -> None:
    Conversion.objects.update(status=S.FAILED, error="It is no state dict.")
    answer = seller.post(f"{draft.at}/convert/discard", {"sha256": upload.sha256})
    assert "It is no state dict." not in answer.content.decode()
    upload.refresh_from_db()
    assert upload.status == UploadStatus.CANCELLED
    assert seller.post(f"{draft.at}/convert/discard", {"sha256": upload.sha256}).status_code == 404


def test_who_may_not_publish_converts_nothing(
    stranger: User, draft: Draft, conversion: Conversion, upload: Upload, listing: Listing
) -> None:
    client = Client()
    client.force_login(stranger)
    assert client.get(f"{draft.at}/convert").status_code == 404
    Membership.objects.create(organization=draft.listing.organization, user=stranger, role=Role.VIEWER)
    Conversion.objects.update(status=S.FAILED, error="It is no state dict.")
    assert "It is no state dict." in shown(client, draft)
    assert "convert/retry" not in shown(client, draft)
    assert "data-converter" not in client.get(f"{draft.at}/files").content.decode()
    said = {"sha256": upload.sha256, "base": listing.name}
    for verb in ("look", "start", "retry", "discard"):
        assert client.post(f"{draft.at}/convert/{verb}", said).status_code == 403, verb
    head = head_of(draft.listing)
    assert head
    assert list(head.files.values_list("path", flat=True)) == ["README.md"]
