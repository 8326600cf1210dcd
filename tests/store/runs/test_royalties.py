"""A call of a derivative pays everybody whose model it was made from, to the unit, by the terms that held when it was opened."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection
from pytest_django.fixtures import Settings
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.billing.actions import top_up_test
from store.catalog.models import Listing
from store.ledger.audit import audit
from store.ledger.models import SharesPlan, Transfer
from store.runs.actions import open_runs, settle_runs
from store.runs.books import OpenedRun, OpenRun, SettleRun
from store.runs.models import Run, RunStatus
from tests.conftest import DOLLAR, make_listing, make_user
from tests.store.derivatives import made_from, set_royalty
from tests.store.ledger.test_audit import lawless
from tests.store.runs.conftest import RequestMaker

pytestmark = pytest.mark.django_db

CHARGE = 30_000  # nano-dollars: 100 tokens in, 50 out


@pytest.fixture
def root(stranger: User) -> Listing:
    """``stranger/root``: 10 %."""
    listing = make_listing(stranger.personal_organization, "root")
    set_royalty(listing, 100_000)
    return listing


@pytest.fixture
def tuned(root: Listing, provider: User) -> Listing:
    """``provider/tuned``, of the root; its own royalty is 5 %."""
    listing = made_from(root, provider, "tuned")
    set_royalty(listing, 50_000)
    return listing


def call(request: OpenRun, listing: Listing) -> Run:
    """A whole call of the listing, without a key."""
    asked = replace(
        request, run_id=uuid7(), listing_id=listing.id, release_id=listing.current_release_id or 0, api_key_id=None
    )
    [opened] = open_runs([asked])
    assert isinstance(opened, OpenedRun), opened
    settle_runs([SettleRun(run_id=asked.run_id, status=RunStatus.SUCCEEDED, output_tokens=50)])
    return Run.objects.get(pk=asked.run_id)


def shares(run: Run) -> dict[str, int]:
    """Amounts by the last parts of the keys, organizations by their names."""
    moved = Transfer.objects.filter(key__startswith=f"run:{run.pk}:").select_related("credit__organization")
    return {
        f"royalty:{row.credit.organization}" if row.kind == "royalty" else row.key.split(":")[2]: row.amount_nano
        for row in moved
    }


def test_a_run_pays_its_base(request_of: RequestMaker, tuned: Listing, root: Listing) -> None:
    run = call(request_of(), tuned)
    assert run.charge_nano == CHARGE
    assert shares(run) == {"provider": 22_500, "platform": 4_500, "royalty:stranger": 3_000}
    assert Transfer.objects.filter(key=f"run:{run.pk}:royalty:{root.organization_id}", kind="royalty").exists()


def test_a_run_pays_the_bases_of_its_base(request_of: RequestMaker, tuned: Listing) -> None:
    run = call(request_of(), made_from(tuned, make_user("third"), "again"))
    assert shares(run) == {
        "provider": 21_000, "platform": 4_500, "royalty:stranger": 3_000, "royalty:provider": 1_500,
    }  # fmt: skip


def test_royalties_together_are_capped_the_nearest_first(
    request_of: RequestMaker, tuned: Listing, settings: Settings
) -> None:
    settings.ROYALTY_CAP_PPM = 100_000
    run = call(request_of(), made_from(tuned, make_user("third"), "again"))
    assert shares(run) == {
        "provider": 22_950, "platform": 4_500, "royalty:provider": 1_500, "royalty:stranger": 1_050,
    }  # fmt: skip


def test_nobody_earns_from_their_own_calls_of_a_derivative(
    request_of: RequestMaker, tuned: Listing, provider: User
) -> None:
    top_up_test(organization=provider.personal_organization, user=provider, amount_nano=DOLLAR)
    run = call(replace(request_of(), organization_id=provider.personal_organization.id), tuned)
    assert shares(run) == {"platform": 4_500, "royalty:stranger": 25_500}


def test_ones_own_calls_of_a_model_of_no_base_are_as_they_were(
    request_of: RequestMaker, listing: Listing, provider: User
) -> None:
    top_up_test(organization=provider.personal_organization, user=provider, amount_nano=DOLLAR)
    run = call(replace(request_of(), organization_id=provider.personal_organization.id), listing)
    assert shares(run) == {"provider": 25_500, "platform": 4_500}
    assert run.shares_id is None


def test_the_plan_is_that_of_the_hold(request_of: RequestMaker, tuned: Listing, settings: Settings) -> None:
    request = replace(request_of(), listing_id=tuned.id, release_id=tuned.current_release_id or 0, api_key_id=None)
    open_runs([request])
    settings.COMMISSION_PPM = 500_000
    settings.ROYALTY_CAP_PPM = 0
    settle_runs([SettleRun(run_id=request.run_id, status=RunStatus.SUCCEEDED, output_tokens=50)])
    run = Run.objects.get(pk=request.run_id)
    assert shares(run) == {"provider": 22_500, "platform": 4_500, "royalty:stranger": 3_000}


def test_runs_that_are_shared_alike_have_one_plan(request_of: RequestMaker, tuned: Listing, listing: Listing) -> None:
    runs = [call(request_of(), one) for one in (tuned, listing, tuned)]
    assert [run.shares_id is None for run in runs] == [False, True, False]
    assert SharesPlan.objects.count() == 1


def test_a_batch_of_all_kinds_is_shared_each_by_its_own_plan(
    request_of: RequestMaker, tuned: Listing, listing: Listing
) -> None:
    deep = made_from(tuned, make_user("third"), "again")
    batch = [
        replace(request_of(), listing_id=one.id, release_id=one.current_release_id or 0, api_key_id=None)
        for one in (listing, tuned, deep, tuned)
    ]
    open_runs(batch)
    settle_runs([SettleRun(run_id=one.run_id, status=RunStatus.SUCCEEDED, output_tokens=50) for one in batch])
    assert [len(shares(Run.objects.get(pk=one.run_id))) for one in batch] == [2, 3, 4, 3]


def test_a_call_that_costs_nothing_owes_nothing(request_of: RequestMaker, tuned: Listing) -> None:
    request = replace(request_of(), listing_id=tuned.id, release_id=tuned.current_release_id or 0, api_key_id=None)
    open_runs([request])
    settle_runs([SettleRun(run_id=request.run_id, status=RunStatus.FAILED, output_tokens=0)])
    assert shares(Run.objects.get(pk=request.run_id)) == {}


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("UPDATE ledger_transfer SET amount_nano = amount_nano + 1 WHERE kind = 'royalty'", "royalties of a run"),
        ("UPDATE ledger_transfer SET amount_nano = amount_nano + 1 WHERE kind = 'royalty'", "transfers of a run"),
        ("DELETE FROM ledger_transfer WHERE kind = 'royalty'", "royalties of a run"),
        ("UPDATE ledger_sharesplan SET royalty_ppms = '{1}'", "royalties of a run"),
        ("UPDATE ledger_sharesplan SET commission_ppm = 1", "plan of a run"),
        ("DELETE FROM ledger_sharesplan", "plan of a run"),
        ("UPDATE runs_run SET shares_id = NULL", "royalties of a run"),
    ],
)
def test_a_wrong_royalty_is_found_and_named(request_of: RequestMaker, tuned: Listing, damage: str, check: str) -> None:
    run = call(request_of(), tuned)
    assert audit() == []
    with lawless(), connection.cursor() as cursor:
        cursor.execute(f"SAVEPOINT damage; {damage}")
        found = [mismatch for mismatch in audit() if mismatch.check == check]
        cursor.execute("ROLLBACK TO SAVEPOINT damage")
    assert [str(run.pk) in mismatch.row for mismatch in found] == [True]
