"""A release on its way through a store whose parts are processes: checked by one worker, measured or converted by another."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import torch
from django.core.files.storage import default_storage
from transformers import GPT2LMHeadModel

from store.accounts.actions import become_provider, ensure_personal_organization, sign_up
from store.accounts.models import User
from store.catalog.actions import submit_commit
from store.catalog.actions.repositories import create_listing
from store.catalog.models import Blob, ConversionStatus, Submission, SubmissionStatus
from store.uploads.actions import begin_upload
from store.uploads.conversions import start_conversion
from store.uploads.links import upload_path
from store.uploads.models import Purpose
from tests.stack import Stack
from tests.store.catalog.drafts import add_folder
from tests.tiny_model import write_model
from tests.waiting import await_that


@pytest.fixture(scope="module")
def seller(stack: Stack) -> User:
    """Whose store has every part."""
    stack.start_cpu()
    stack.start_web(INTERNAL_URL=stack.url)
    stack.start_gpu()
    user = sign_up(email="seller@example.com", password="correct horse battery", name="Seller", is_verified=True)
    become_provider(organization=ensure_personal_organization(user), user=user)
    return user


@pytest.fixture(scope="module")
def submission(seller: User, tmp_path_factory: pytest.TempPathFactory) -> Submission:
    """Checked and measured."""
    listing = create_listing(organization=ensure_personal_organization(seller), user=seller, slug="tiny")
    folder = write_model(tmp_path_factory.mktemp("submitted") / "tiny")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    add_folder(listing, seller, folder)
    submission = submit_commit(listing=listing, user=seller)

    def ended() -> bool:
        submission.refresh_from_db()
        assert submission.status in (SubmissionStatus.CHECKING, SubmissionStatus.MEASURING, SubmissionStatus.READY), (
            submission.problems
        )
        return submission.status == SubmissionStatus.READY

    await_that(ended, "the submission is ready", timeout_s=240)
    return submission


def test_what_is_submitted_is_measured_by_a_worker_that_serves(submission: Submission) -> None:
    measured = submission.measurement
    assert measured is not None
    assert measured.perplexity is not None
    assert measured.perplexity > 1
    assert min(measured.ttft_ms or 0, measured.tokens_per_s_1 or 0, measured.tokens_per_s_32 or 0) > 0
    assert (measured.memory_bytes or 0) > 0
    assert "torch" in measured.software


def test_a_pickle_becomes_safetensors_beside_the_config_of_its_base(
    stack: Stack, seller: User, submission: Submission, tmp_path: Path
) -> None:
    base = submission.release
    assert base is not None
    organization = ensure_personal_organization(seller)
    weights = tmp_path / "fine_tuned_weights.pth"
    torch.save(GPT2LMHeadModel.from_pretrained(write_model(tmp_path / "other", seed=9)).state_dict(), weights)
    data = weights.read_bytes()
    upload = begin_upload(
        organization=organization, user=seller, path=weights.name, size=len(data), purpose=Purpose.CONVERSION
    )
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    httpx.patch(stack.url + upload_path(upload), content=data, headers=headers, timeout=60).raise_for_status()
    upload.refresh_from_db()
    listing = create_listing(organization=organization, user=seller, slug="converted")
    conversion = start_conversion(listing=listing, user=seller, upload=upload, base=base)

    def ended() -> bool:
        conversion.refresh_from_db()
        assert conversion.status != ConversionStatus.FAILED, conversion.error
        return conversion.status == ConversionStatus.SUCCEEDED

    await_that(ended, "the pickle is converted", timeout_s=240)
    assert conversion.commit is not None
    files = dict(conversion.commit.files.values_list("path", "blob_id"))
    assert {"model.safetensors", "config.json"} <= set(files)
    with default_storage.open(Blob(sha256=files["model.safetensors"]).storage_name) as stored:
        assert b"pickle" not in stored.read(1000)
