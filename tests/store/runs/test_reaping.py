"""A gateway that died is found, and only that one; what it left behind is settled once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.utils import timezone

from store.ledger.models import Hold, HoldStatus, Wallet
from store.runs.actions import expire_holds, find_dead_gateways, heartbeat_gateway, open_runs, runs_left_by, settle_runs
from store.runs.books import SettleRun
from store.runs.models import Gateway, Run, RunStatus
from tests.store.runs.conftest import RequestMaker

pytestmark = pytest.mark.django_db


def age(gateway_id: UUID, **seconds: float) -> None:
    """Sets times of the gateway's row so many seconds back."""
    times = {field: timezone.now() - timedelta(seconds=value) for field, value in seconds.items()}
    Gateway.objects.filter(pk=gateway_id).update(**times)


def test_a_gateway_is_dead_when_it_is_silent_twice(request_of: RequestMaker, gateway_id: UUID) -> None:
    open_runs([request_of()])
    assert find_dead_gateways() == []
    age(gateway_id, heartbeat_at=16)
    assert find_dead_gateways() == []  # suspected
    assert find_dead_gateways() == []
    age(gateway_id, suspected_at=11)
    assert find_dead_gateways() == [gateway_id]


def test_a_word_takes_the_suspicion_back(request_of: RequestMaker, gateway_id: UUID) -> None:
    """As after the database was away: everybody's last word is old, then the living speak."""
    open_runs([request_of()])
    age(gateway_id, heartbeat_at=600)
    find_dead_gateways()
    heartbeat_gateway(gateway_id)
    age(gateway_id, heartbeat_at=1)
    assert find_dead_gateways() == []
    assert Gateway.objects.get().suspected_at is None


def test_a_dead_gateway_without_runs_is_nobodys_business(gateway_id: UUID) -> None:
    age(gateway_id, heartbeat_at=600, suspected_at=600)
    assert find_dead_gateways() == []


def test_what_it_left_is_settled_once(request_of: RequestMaker, gateway_id: UUID, wallet: Wallet) -> None:
    requests = [request_of() for _ in range(3)]
    open_runs(requests)
    assert runs_left_by(gateway_id) == [request.run_id for request in requests]
    assert runs_left_by(gateway_id, at_most=2) == [request.run_id for request in requests[:2]]
    settle_runs(
        [SettleRun(run_id=run_id, status=RunStatus.FAILED, output_tokens=0) for run_id in runs_left_by(gateway_id)]
    )
    assert runs_left_by(gateway_id) == []
    wallet.refresh_from_db()
    assert wallet.available_nano == 10 * 10**9


def test_a_hold_expires_when_its_gateway_lives_and_forgot_it(
    request_of: RequestMaker, gateway_id: UUID, settings: LazySettings, wallet: Wallet
) -> None:
    settings.RUN_DEADLINE_S = -61  # past its hold at once
    open_runs([request_of(), request_of()])
    assert expire_holds() == 0  # it may only just be back in touch
    age(gateway_id, steady_since=121)
    assert expire_holds() == 2
    assert set(Run.objects.values_list("status", "error_code")) == {(RunStatus.FAILED, "expired")}
    assert set(Hold.objects.values_list("status", flat=True)) == {HoldStatus.EXPIRED}
    wallet.refresh_from_db()
    assert wallet.available_nano == 10 * 10**9
    assert expire_holds() == 0


def test_a_gateway_that_was_away_is_given_time_to_settle(
    request_of: RequestMaker, gateway_id: UUID, settings: LazySettings
) -> None:
    settings.RUN_DEADLINE_S = -61
    open_runs([request_of()])
    age(gateway_id, steady_since=3600, heartbeat_at=600)
    assert expire_holds() == 0  # silent: not for this verb to judge
    heartbeat_gateway(gateway_id)
    assert expire_holds() == 0
    assert Gateway.objects.get().steady_since > timezone.now() - timedelta(seconds=60)


def test_a_hold_within_its_time_stays(request_of: RequestMaker, gateway_id: UUID) -> None:
    open_runs([request_of()])
    age(gateway_id, steady_since=3600)
    assert expire_holds() == 0
