"""Runs of the consumer's to count and to tell of; after every test here the books are right."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from store.ledger.audit import audit
from store.runs.actions import open_runs, settle_runs
from store.runs.books import OpenedRun, SettleRun
from store.runs.models import Run, RunStatus
from tests.store.runs.conftest import RequestMaker, gateway_id, request_of

__all__ = ["gateway_id", "request_of"]

Call = Callable[..., Run]
COST_NANO = 30_000  # of a call that makes 50 tokens


@pytest.fixture
def call(request_of: RequestMaker) -> Generator[Call, None, None]:
    """A call of the consumer's key: 100 tokens in, 50 out, settled unless ``status`` is OPEN. ``at`` decides the budgets' periods."""

    def make(
        *, status: RunStatus = RunStatus.SUCCEEDED, output_tokens: int = 50, at: datetime | None = None, run_id: UUID | None = None,
        settle: dict[str, Any] | None = None, **changes: Any,
    ) -> Run:  # fmt: skip
        request = request_of(run_id=run_id or uuid7(), **changes)
        [opened] = open_runs([request], at=at)
        assert isinstance(opened, OpenedRun), opened
        if status != RunStatus.OPEN:
            ending = {"status": status, "output_tokens": output_tokens, **(settle or {})}
            settle_runs([SettleRun(run_id=request.run_id, **ending)])
        return Run.objects.get(pk=request.run_id)

    yield make
    assert audit() == []
