"""The CPU worker: what the clock tells it to do."""

from __future__ import annotations

import logging

import pytest
from django.db import connection

from store.backoffice.models import AuditRun, AuditSource
from store.keys.actions import IssuedKey
from store.ledger.audit import audit
from workers import cpu, money


def test_everything_on_the_schedule_is_a_task_that_the_worker_has() -> None:
    cpu.app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in cpu.app.conf.beat_schedule.values()}
    assert scheduled <= set(cpu.app.tasks)


def test_the_nightly_audit_names_what_does_not_match(issued_key: IssuedKey, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        _proven_at_night()
    assert caplog.records == []
    key = issued_key.api_key.pk
    with connection.cursor() as cursor:
        cursor.execute("UPDATE keys_keyuse SET open_runs = 5 WHERE api_key_id = %s", [key])
    assert len(audit()) == 1
    with caplog.at_level(logging.ERROR):
        _proven_at_night()
    [record] = caplog.records
    assert f"key {key}" in record.getMessage()
    assert "found 5" in record.getMessage()


def _proven_at_night() -> None:
    """What the clock asks for, and the worker's answer; Stripe is asked in tests of its own."""
    money.audit_books()
    money.prove_books(AuditRun.objects.filter(source=AuditSource.BOOKS).latest("pk").pk)
