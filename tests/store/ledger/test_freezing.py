"""An organization whose money is frozen begins nothing new with it."""

from __future__ import annotations

import pytest

from store.accounts.models import User
from store.ledger.errors import PayoutsFrozen, SpendingFrozen
from store.ledger.freezing import check_payouts, freeze, lift, spending_frozen
from store.ledger.models import Freeze, Frozen, Wallet
from store.runs.actions import open_runs, settle_runs
from store.runs.books import OpenedRun, SettledRun, SettleRun
from store.runs.models import Run, RunStatus
from tests.store.runs.conftest import RequestMaker, gateway_id, request_of

__all__ = ["gateway_id", "request_of"]
pytestmark = pytest.mark.django_db


def test_a_frozen_organization_opens_no_run_and_what_is_under_way_ends_as_it_would(
    consumer: User, request_of: RequestMaker, wallet: Wallet
) -> None:
    before = request_of()
    assert isinstance(open_runs([before])[0], OpenedRun)
    freeze(organization=consumer.personal_organization, what=Frozen.SPENDING)
    (refused,) = open_runs([request_of()])
    assert isinstance(refused, SpendingFrozen)
    assert (refused.status, refused.code) == (403, "spending_frozen")
    assert Run.objects.count() == 1
    (settled,) = settle_runs([SettleRun(run_id=before.run_id, status=RunStatus.SUCCEEDED, output_tokens=50)])
    assert isinstance(settled, SettledRun)
    assert settled.charge_nano == 30_000
    lift(organization=consumer.personal_organization, what=Frozen.SPENDING)
    assert isinstance(open_runs([request_of()])[0], OpenedRun)


def test_freezing_twice_is_once_and_each_freeze_is_a_row(consumer: User) -> None:
    mine = consumer.personal_organization
    assert freeze(organization=mine, what=Frozen.SPENDING)
    assert not freeze(organization=mine, what=Frozen.SPENDING)
    assert lift(organization=mine, what=Frozen.SPENDING)
    assert not lift(organization=mine, what=Frozen.SPENDING)
    assert freeze(organization=mine, what=Frozen.SPENDING)
    assert (Freeze.objects.count(), Freeze.objects.current().count()) == (2, 1)


def test_payouts_are_frozen_apart_from_spending(consumer: User, stranger: User) -> None:
    mine, theirs = consumer.personal_organization, stranger.personal_organization
    freeze(organization=mine, what=Frozen.PAYOUTS)
    assert spending_frozen([mine.pk, theirs.pk]) == set()
    with pytest.raises(PayoutsFrozen):
        check_payouts(mine)
    check_payouts(theirs)
    freeze(organization=theirs, what=Frozen.SPENDING)
    assert spending_frozen([mine.pk, theirs.pk]) == {theirs.pk}
    check_payouts(theirs)
