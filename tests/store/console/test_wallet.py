from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from store.accounts.models import Membership, Role, User
from store.billing.models import Topup
from store.console.statement import PER_PAGE, statement
from store.ledger.actions import wallet_of
from store.ledger.models import Wallet, WalletKind
from tests.conftest import DOLLAR
from tests.store.console.conftest import MakeRun


@pytest.mark.django_db
def test_looking_at_a_wallet_makes_none(browser: Client) -> None:
    assert "Nothing moved yet" in browser.get("/wallet").content.decode()
    assert not Wallet.objects.exists()


@pytest.mark.django_db
def test_test_money_is_added_and_says_so(browser: Client, consumer: User) -> None:
    page = browser.post("/wallet/top-up", {"amount": "12.345678901"}, follow=True).content.decode()
    assert wallet_of(consumer.personal_organization.pk, WalletKind.CREDIT).posted_nano == 12_345_678_901
    assert "Test money" in page
    assert "Test mode" in page


@pytest.mark.django_db
@pytest.mark.parametrize("amount", ["", "0", "0.99", "-5", "10001", "NaN", "1e2", "9" * 40, "ten"])
def test_an_amount_that_makes_no_sense_buys_nothing(browser: Client, amount: str) -> None:
    response = browser.post("/wallet/top-up", {"amount": amount})
    assert response.status_code == 422
    assert "field-error" in response.content.decode()
    assert not Topup.objects.exists()


@pytest.mark.django_db
def test_a_store_for_real_money_gives_none_away(browser: Client, settings: Settings) -> None:
    settings.TEST_MONEY = False
    assert browser.post("/wallet/top-up", {"amount": "5"}).status_code == 403
    page = browser.get("/wallet").content.decode()
    assert "Test mode" not in page
    assert "Add test money" not in page


@pytest.mark.django_db
def test_a_developer_buys_nothing(stranger: User, consumer: User) -> None:
    organization = consumer.personal_organization
    Membership.objects.create(organization=organization, user=stranger, role=Role.DEVELOPER)
    client = Client()
    client.force_login(stranger)
    client.post(f"/organizations/{organization.pk}/switch")
    assert "Add test money" not in client.get("/wallet").content.decode()
    assert client.post("/wallet/top-up", {"amount": "5"}).status_code == 403


@pytest.mark.django_db
def test_the_statement_adds_up_to_the_balance(browser: Client, wallet: Wallet, make_run: MakeRun) -> None:
    run = make_run()
    wallet.refresh_from_db()
    lines = statement(wallet).lines
    assert sum(line.amount_nano for line in lines) == wallet.posted_nano == 10 * DOLLAR - run.charge_nano
    assert [line.is_test for line in lines] == [False, False, True]
    assert {line.run_id for line in lines} == {run.pk, None}
    assert f"/usage/{run.pk}" in browser.get("/wallet").content.decode()


@pytest.mark.django_db
def test_pages_of_the_statement_follow_each_other(browser: Client, wallet: Wallet, make_run: MakeRun) -> None:
    for _turn in range(PER_PAGE // 2 + 1):
        make_run()
    first = statement(wallet)
    second = statement(wallet, before=first.older)
    ids = [line.id for line in first.lines + second.lines]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == PER_PAGE + 3
    assert f"?before={first.older}" in browser.get("/wallet").content.decode()
    assert browser.get("/wallet", {"before": "9" * 40}).status_code == 200


@pytest.mark.django_db
def test_the_header_shows_balance_and_organization(browser: Client, wallet: Wallet) -> None:
    header = browser.get("/").content.decode().split("</header>")[0]
    assert "$10.00" in header
    assert ">consumer<" in header
