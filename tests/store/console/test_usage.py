from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.console.run_list import PER_PAGE, run_page, runs_of
from store.ledger.dollars import dollars
from store.runs.ids import first_id
from store.runs.models import RunStatus
from tests.store.console.conftest import MakeRun

CHARGE = (100 * 100_000_000 + 50 * 400_000_000) // 1_000_000  # nano-dollars for make_run's run


@pytest.mark.django_db
def test_runs_are_listed_with_tokens_and_exact_cost(browser: Client, make_run: MakeRun) -> None:
    run = make_run()
    assert run.charge_nano == CHARGE
    page = browser.get("/usage/runs").content.decode()
    assert f"/usage/{run.pk}" in page
    assert "provider/bard" in page
    assert '$0.00<wbr><span class="money-tail">003</span>' in page


@pytest.mark.django_db
def test_a_run_is_shown_with_its_price_hold_and_transfers(browser: Client, make_run: MakeRun) -> None:
    run = make_run()
    page = browser.get(f"/usage/{run.pk}").content.decode()
    assert dollars(run.charge_nano) == "$0.00003"
    assert "Captured" in page
    assert "Commission" in page
    assert "the store" in page


@pytest.mark.django_db
def test_filters(browser: Client, make_run: MakeRun) -> None:
    good, bad = make_run(), make_run(status=RunStatus.FAILED, output_tokens=0)
    page = browser.get("/usage/runs", {"status": "failed"}).content.decode()
    assert f"/usage/{bad.pk}" in page
    assert f"/usage/{good.pk}" not in page
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert "No runs here" in browser.get("/usage/runs", {"since": f"{tomorrow}"}).content.decode()
    assert (
        f"/usage/{good.pk}"
        in browser.get("/usage/runs", {"until": f"{tomorrow}", "key": f"{good.api_key_id}"}).content.decode()
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [{"status": "x"}, {"key": "x"}, {"key": "9" * 40}, {"since": "0000-00-00"}, {"before": "x"}, {"model": "-1"}],
)
def test_a_filter_that_makes_no_sense_is_left_out(browser: Client, make_run: MakeRun, query: dict[str, str]) -> None:
    run = make_run()
    assert f"/usage/{run.pk}" in browser.get("/usage/runs", query).content.decode()


@pytest.mark.django_db
def test_pages_follow_each_other_without_gap_or_double(consumer: User, make_run: MakeRun) -> None:
    made = [make_run().pk for _turn in range(PER_PAGE + 3)]
    runs = runs_of(consumer.personal_organization)
    first = run_page(runs, before=None)
    second = run_page(runs, before=first.older)
    assert [run.pk for run in first.runs + second.runs] == made[::-1]
    assert second.older is None


@pytest.mark.django_db
def test_another_tenants_run_is_a_404(stranger: User, make_run: MakeRun) -> None:
    client = Client()
    client.force_login(stranger)
    assert client.get(f"/usage/{make_run().pk}").status_code == 404
    assert client.get(f"/usage/{uuid7()}").status_code == 404
    assert client.get("/usage/nonsense").status_code == 404
    assert "No runs here" in client.get("/usage/runs").content.decode()


def test_a_moment_is_the_least_id_of_its_runs() -> None:
    before = datetime.now(UTC)
    run_id = uuid7()
    assert (
        first_id(before - timedelta(milliseconds=1)) < run_id < first_id(datetime.now(UTC) + timedelta(milliseconds=2))
    )
