"""Who shares a charge is shown to who pays it, to who owes a royalty and to who earns one."""

from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import ProviderProfile, User
from store.catalog.models import Listing
from store.console.statement import statement
from store.ledger.models import Wallet
from store.reputation.rollup import roll_up
from tests.conftest import make_listing
from tests.store.console.conftest import MakeRun
from tests.store.derivatives import made_from, set_royalty

pytestmark = pytest.mark.django_db


@pytest.fixture
def tuned(provider: User, stranger: User) -> Listing:
    """``provider/tuned``, which owes 10 % to ``stranger/root``."""
    ProviderProfile.objects.create(organization=stranger.personal_organization)
    root = make_listing(stranger.personal_organization, "root")
    set_royalty(root, 100_000)
    return made_from(root, provider, "tuned")


def test_a_run_is_one_line_of_the_statement_and_three_shares_behind_it(
    browser: Client, wallet: Wallet, make_run: MakeRun, tuned: Listing
) -> None:
    run = make_run(of=tuned)
    line = statement(wallet).lines[0]
    assert (line.run_id, line.amount_nano, line.kind, line.other) == (run.pk, -30_000, "Usage", "provider")
    page = browser.get(f"/usage/{run.pk}").content.decode()
    shares = page.split("Shares of the charge")[1]
    assert shares.count("<tr>") == 1 + 3
    assert all(word in shares for word in ("Usage", "provider", "Commission", "the store", "Royalty", "stranger"))
    assert '<span class="money-tail">0003</span>' in shares  # 10 % of $0.00003


def test_a_provider_sees_what_is_owed_while_typing(seller: Client, tuned: Listing) -> None:
    address = "/provider/tuned/manage/prices/earned"
    page = seller.post(address, {"input": "10", "output": "20", "cached_input": "10"}).content.decode()
    # 1000 typical calls are 9 dollars, of which 85 % less 10 % stay.
    assert "$6.75" in page
    assert "a royalty of 10% to stranger" in page


def test_a_price_below_the_royalty_is_said_at_its_field(seller: Client, tuned: Listing) -> None:
    form = {"input": "0.1", "output": "0.039", "cached_input": "0.1", "starts": "now"}
    response = seller.post("/provider/tuned/manage/prices", form)
    assert response.status_code == 422
    assert "$0.04 at least: 10 % of what stranger/root costs" in response.content.decode()


def test_royalties_are_in_the_analytics_of_both_sides(
    seller: Client, stranger: User, make_run: MakeRun, tuned: Listing
) -> None:
    make_run(of=tuned)
    roll_up()
    paid = seller.get("/provider/analytics").content.decode()
    assert "Royalties paid" in paid
    assert "Royalties to you" not in paid
    assert "Royalties paid" in seller.get("/provider/tuned/manage/analytics").content.decode()
    owner = Client()
    owner.force_login(stranger)
    earned = owner.get("/provider/analytics").content.decode()
    assert "Royalties to you" in earned
    assert "provider/tuned" in earned
    assert "Royalties paid" not in earned
    assert '<span class="money-tail">0003</span>' in owner.get("/provider").content.decode()  # earned in 30 days
