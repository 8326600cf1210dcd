"""Those who run the store look at trainings, and change none."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from store.tuning.actions.imports import start_data_import
from store.tuning.models import JobStatus
from tests.store.tuning.jobs.conftest import JobMaker
from tests.store.tuning.jobs.fake_worker import FakeWorker

pytestmark = pytest.mark.django_db


def test_jobs_and_files_are_looked_at(staff: Client, job_of: JobMaker) -> None:
    job_of()
    worker = FakeWorker.take_up()
    worker.train(2)
    worker.checkpoint()
    listed = staff.get(reverse("admin:tuning_tunejob_changelist")).content.decode()
    assert worker.job.public_id in listed
    shown = staff.get(reverse("admin:tuning_tunejob_change", args=[worker.job.pk])).content.decode()
    assert "Checkpoint at step 2." in shown
    files = staff.get(reverse("admin:tuning_datafile_changelist")).content.decode()
    assert worker.job.training_file.public_id in files
    made = start_data_import(organization=worker.job.organization, user=worker.job.created_by, repo_id="acme/owls")
    imports = staff.get(reverse("admin:tuning_dataimport_changelist")).content.decode()
    assert made.public_id in imports
    assert staff.get(reverse("admin:tuning_dataimport_change", args=[made.pk])).status_code == 200


def test_nobody_changes_a_job_by_hand(staff: Client, job_of: JobMaker) -> None:
    job = job_of()
    for action in ("delete", "change"):
        staff.post(reverse(f"admin:tuning_tunejob_{action}", args=[job.pk]), {"status": "succeeded", "post": "yes"})
    job.refresh_from_db()
    assert job.status == JobStatus.QUEUED
    assert staff.get(reverse("admin:tuning_tunejob_add")).status_code == 403
