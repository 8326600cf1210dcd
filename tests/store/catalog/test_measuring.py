"""Numbers of a release: asked for, heard, believed when they are of the newest attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inference.wire import MeasurementReport, WireError
from store.accounts.models import User
from store.catalog.actions import measure_release, submit_commit, take_measurement
from store.catalog.actions.measuring import due_measurements, measure_oldest, newest_of
from store.catalog.actions.submissions import begin_measurement
from store.catalog.models import Listing, Measurement, MeasurementStatus, Notice, Release, Submission, SubmissionStatus
from tests.conftest import make_listing
from tests.store.catalog.drafts import check, make_draft, measure

pytestmark = pytest.mark.django_db
S = MeasurementStatus


@pytest.fixture
def release(listing: Listing) -> Release:
    assert listing.current_release
    return listing.current_release


def begun(measurement: Measurement) -> int:
    """The attempt that is on its way."""
    found = begin_measurement(measurement.pk)
    assert found is not None
    return found.attempts


def hear(measurement: Measurement, attempt: int, **report: Any) -> Measurement:
    message = MeasurementReport(**report).as_json()
    take_measurement(measurement_id=measurement.pk, attempt=attempt, message=message)
    measurement.refresh_from_db()
    return measurement


def test_a_measurement_is_asked_for_once_while_it_is_under_way(release: Release) -> None:
    first = measure_release(release)
    assert measure_release(release) == first
    hear(first, begun(first), status="done", perplexity=10.0)
    assert measure_release(release) != first


def test_numbers_are_kept_as_the_worker_says_them(release: Release) -> None:
    measurement = measure_release(release)
    attempt = begun(measurement)
    hear(measurement, attempt, status="running", progress=0.5, step="perplexity")
    assert (measurement.status, measurement.progress, measurement.step) == (S.RUNNING, 0.5, "perplexity")
    hear(
        measurement,
        attempt,
        status="done",
        perplexity=12.5,
        tokens_per_s_8=900.0,
        memory_bytes=5,
        hardware="CPU",
        sample="Ay\0e",
    )
    assert (measurement.status, measurement.perplexity, measurement.tokens_per_s_8) == (S.DONE, 12.5, 900.0)
    assert (measurement.memory_bytes, measurement.hardware, measurement.sample) == (5, "CPU", "Aye")
    assert measurement.measured_at is not None
    assert newest_of(release) == measurement


def test_a_number_that_is_none_is_not_shown(release: Release) -> None:
    measurement = measure_release(release)
    hear(
        measurement,
        begun(measurement),
        status="done",
        perplexity=float("nan"),
        ttft_ms=float("inf"),
        tokens_per_s_1=3.0,
    )
    assert (measurement.perplexity, measurement.ttft_ms, measurement.tokens_per_s_1) == (None, None, 3.0)


def test_an_older_attempt_and_a_late_word_are_not_heard(release: Release) -> None:
    measurement = measure_release(release)
    first = begun(measurement)
    Measurement.objects.update(due_at=timezone.now())
    second = begun(measurement)
    assert hear(measurement, first, status="done", perplexity=1.0).status == S.QUEUED
    assert hear(measurement, second, status="done", perplexity=2.0).perplexity == 2.0
    assert hear(measurement, second, status="unfit", error="No.").status == S.DONE


def test_a_message_of_another_version_is_refused(release: Release) -> None:
    measurement = measure_release(release)
    with pytest.raises(WireError):
        take_measurement(measurement_id=measurement.pk, attempt=1, message={"version": 99})


def test_a_measurement_is_sent_once_while_it_is_not_due_again(release: Release) -> None:
    measurement = measure_release(release)
    assert due_measurements() == [measurement.pk]
    assert begun(measurement) == 1
    assert (begin_measurement(measurement.pk), due_measurements()) == (None, [])


def test_one_that_may_wait_is_not_sent_before_its_time(release: Release) -> None:
    measurement = measure_release(release, due_at=timezone.now() + timedelta(minutes=2))
    assert (begin_measurement(measurement.pk), due_measurements()) == (None, [])


def test_a_failure_is_tried_again_elsewhere_three_times(provider: User) -> None:
    submission = check(submit_commit(listing=make_draft(provider), user=provider))
    measurement = submission.measurement
    assert measurement is not None
    for attempt in (1, 2):
        assert begun(measurement) == attempt
        assert hear(measurement, attempt, status="failed", error="No room.").status == S.QUEUED
    assert hear(measurement, begun(measurement), status="failed", error="No room.").status == S.FAILED
    submission.refresh_from_db()
    assert (submission.status, submission.problems[0]["message"]) == (SubmissionStatus.UNFIT, "No room.")
    assert Notice.objects.get(kind="unfit").context["problems"] == "No room."


def test_one_that_nobody_measures_fails_with_a_sentence(provider: User) -> None:
    submission = check(submit_commit(listing=make_draft(provider), user=provider))
    Measurement.objects.update(attempts=3, due_at=timezone.now())
    assert begin_measurement(submission.measurement_id or 0) is None
    submission.refresh_from_db()
    assert submission.status == SubmissionStatus.UNFIT
    assert "3 attempts" in submission.problems[0]["message"]


def test_a_model_that_cannot_answer_is_unfit_at_once(provider: User) -> None:
    submission = check(submit_commit(listing=make_draft(provider), user=provider))
    assert measure(submission, status="unfit", error="It says nothing.").status == SubmissionStatus.UNFIT


def test_known_numbers_are_not_measured_again(provider: User) -> None:
    submission = measure(check(submit_commit(listing=make_draft(provider), user=provider)))
    Submission.objects.update(status=SubmissionStatus.CANCELLED)
    again = check(submit_commit(listing=submission.listing, user=provider, commit=submission.commit))
    assert (again.status, again.measurement) == (SubmissionStatus.READY, submission.measurement)


def test_every_night_the_oldest_numbers_of_public_models_are_found_anew(provider: User) -> None:
    names = ("never", "old", "new", "private", "running")
    releases = {name: make_listing(provider.personal_organization, name).current_release for name in names}
    Listing.objects.filter(slug="private").update(is_private=True)
    for name, days in {"old": 40, "new": 1}.items():
        measured_at = timezone.now() - timedelta(days=days)
        Measurement.objects.create(release=releases[name], status=S.DONE, measured_at=measured_at)  # type: ignore[misc]
    Measurement.objects.create(release=releases["running"], status=S.RUNNING)  # type: ignore[misc]
    assert measure_oldest(10) == 2
    queued = set(Measurement.objects.filter(status=S.QUEUED).values_list("release__listing__slug", flat=True))
    assert queued == {"never", "old"}
    assert measure_oldest(10) == 0
