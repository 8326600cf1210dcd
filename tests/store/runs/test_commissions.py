"""A run is shared by the commission that was in force when it was held, whatever the rules become."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.catalog.actions import set_commission
from store.catalog.actions.commissions import CommissionSpec
from store.catalog.models import CommissionScope, Listing
from store.ledger.models import Transfer
from store.runs.actions import open_runs, settle_runs
from store.runs.books import OpenedRun, SettleRun
from store.runs.models import Run, RunStatus
from tests.conftest import make_user
from tests.store.derivatives import made_from, set_royalty
from tests.store.runs.conftest import RequestMaker

pytestmark = pytest.mark.django_db


def rule(scope: CommissionScope, ppm: int, **whom: object) -> None:
    spec = CommissionSpec(name="Rule", scope=scope, ppm=ppm, **whom)  # type: ignore[arg-type]
    set_commission(spec=spec, user=None, reason="A test.")


def settled(run_id: object, tokens: int = 50) -> dict[str, int]:
    """Amounts by the role of who has them."""
    settle_runs([SettleRun(run_id=run_id, status=RunStatus.SUCCEEDED, output_tokens=tokens)])  # type: ignore[arg-type]
    return {row.key.split(":")[2]: row.amount_nano for row in Transfer.objects.filter(key__startswith=f"run:{run_id}:")}


def test_a_rule_that_changes_under_way_changes_no_run(request_of: RequestMaker, listing: Listing) -> None:
    before, after = request_of(), request_of()
    rule(CommissionScope.GLOBAL, 100_000)
    open_runs([before])
    rule(CommissionScope.PROVIDER, 500_000, provider=listing.organization)
    open_runs([after])
    assert settled(before.run_id) == {"provider": 27_000, "platform": 3_000}
    assert settled(after.run_id) == {"provider": 15_000, "platform": 15_000}
    assert list(Run.objects.order_by("commission_ppm").values_list("commission_ppm", flat=True)) == [100_000, 500_000]


@pytest.mark.parametrize(("ppm", "shares"), [(0, {"provider": 30_000}), (1_000_000, {"platform": 30_000})])
def test_all_or_nothing_is_a_commission_too(request_of: RequestMaker, ppm: int, shares: dict[str, int]) -> None:
    rule(CommissionScope.GLOBAL, ppm)
    request = request_of()
    open_runs([request])
    assert settled(request.run_id) == shares


def test_the_runs_of_a_batch_have_each_their_own(request_of: RequestMaker, listing: Listing, stranger: User) -> None:
    root = made_from(listing, stranger, "root")
    rule(CommissionScope.PROVIDER, 200_000, provider=stranger.personal_organization)
    batch = [
        request_of(),
        request_of(listing_id=root.id, release_id=root.current_release_id, api_key_id=None),
        request_of(),
    ]
    assert all(isinstance(answer, OpenedRun) for answer in open_runs(batch))
    assert [settled(one.run_id)["platform"] for one in batch] == [4_500, 6_000, 4_500]


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ppm=st.integers(0, 1_000_000),
    royalty=st.integers(0, 1_000_000),
    prompt=st.integers(1, 400),
    tokens=st.integers(0, 50),
)
def test_whatever_the_rule_the_shares_are_the_charge(
    request_of: RequestMaker, listing: Listing, ppm: int, royalty: int, prompt: int, tokens: int
) -> None:
    """Of a derivative, with its royalty; ``request_of`` audits the books of all of them at the end."""
    set_royalty(listing, royalty)
    tuned = made_from(listing, make_user(f"maker{uuid7().hex}"), "tuned")
    rule(CommissionScope.GLOBAL, ppm)
    request = replace(
        request_of(prompt_tokens=prompt), listing_id=tuned.id, release_id=tuned.current_release_id or 0, api_key_id=None
    )
    open_runs([request])
    rule(CommissionScope.GLOBAL, 1_000_000 - ppm)
    shares, run = settled(request.run_id, tokens), Run.objects.get(pk=request.run_id)
    assert run.commission_ppm == ppm
    assert sum(shares.values()) == run.charge_nano == prompt * 100 + tokens * 400
    assert shares.get("platform", 0) == run.charge_nano * ppm // 1_000_000
