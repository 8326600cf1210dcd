"""The worker that checks a submission dies in the middle: another one checks it again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from django.utils import timezone

from store.accounts.actions import become_provider, ensure_personal_organization, sign_up
from store.accounts.models import User
from store.catalog.actions import submit_commit
from store.catalog.actions.repositories import create_listing
from store.catalog.models import Release, Submission, SubmissionStatus
from tests.stack import Stack
from tests.store.catalog.drafts import add_folder
from tests.store.catalog.folders import write_folder
from tests.waiting import await_that

pytestmark = pytest.mark.fault


@pytest.fixture
def seller(stack: Stack) -> User:
    user = sign_up(email="seller@example.com", password="correct horse battery", name="Seller", is_verified=True)
    become_provider(organization=ensure_personal_organization(user), user=user)
    return user


def reader_of(pid: int) -> psutil.Process | None:
    """The child in which a worker opens a provider's files."""
    for child in psutil.Process(pid).children(recursive=True):
        if "store.catalog.reader" in " ".join(child.cmdline()):
            return child
    return None


def test_a_check_is_done_again_when_its_worker_was_killed(stack: Stack, seller: User, tmp_path: Path) -> None:
    listing = create_listing(organization=ensure_personal_organization(seller), user=seller, slug="tiny")
    add_folder(listing, seller, write_folder(tmp_path / "tiny"))
    worker, _beat = stack.start_cpu()
    submission = submit_commit(listing=listing, user=seller)
    reader = await_that(lambda: reader_of(worker.pid), "the files are being read", timeout_s=60)
    os.kill(reader.pid, signal.SIGSTOP)  # so that the worker dies in the middle, however fast it is
    worker.kill()
    os.kill(reader.pid, signal.SIGKILL)
    assert Submission.objects.get(pk=submission.pk).status == SubmissionStatus.CHECKING
    Submission.objects.update(due_at=timezone.now())  # its lease ends
    stack.start_cpu()
    await_that(
        lambda: Submission.objects.filter(pk=submission.pk, status=SubmissionStatus.MEASURING).exists(),
        "the submission is checked",
        timeout_s=90,
    )
    submission.refresh_from_db()
    assert (submission.attempts, Release.objects.count()) == (2, 1)
