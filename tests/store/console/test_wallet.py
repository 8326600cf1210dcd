from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from store.accounts.models import Membership, Role, User
from store.billing.models import Topup
from store.console.statement import PER_PAGE, statement
from store.ledger.actions import wallet_of
from store.ledger.models import Wallet, WalletKind
from store.sandbox import faults
from store.sandbox.resources.checkout import pay_session
from tests.conftest import DOLLAR
from tests.sandboxed import VISA, Till, till
from tests.store.console.conftest import MakeRun

__all__ = ["till"]  # a fixture


@pytest.mark.django_db
def test_looking_at_a_wallet_makes_none(browser: Client) -> None:
    assert "Nothing moved yet" in browser.get("/wallet").content.decode()
    assert not Wallet.objects.exists()


@pytest.mark.django_db
def test_credit_is_paid_for_on_a_page_of_the_sandbox(till: Till, browser: Client, consumer: User) -> None:
    answer = browser.post("/wallet/top-up", {"amount": "12.34"})
    assert answer.status_code == 303
    assert answer["location"].startswith("http://127.0.0.1:8001/pay/cs_test_")
    topup = Topup.objects.get()
    back = f"/wallet/top-ups/{topup.pk}"
    asked = browser.get(back, headers={"hx-request": "true"}).content.decode()
    assert "on its way" in asked
    assert "every 2s" in asked
    assert "<html" not in asked
    pay_session(str(topup.checkout_session), VISA)
    till.deliver()
    assert browser.get(back, headers={"hx-request": "true"})["hx-refresh"] == "true"
    page = browser.get(back).content.decode()
    assert "$12.34</span> was added" in page
    assert "every 2s" not in page
    wallet = browser.get("/wallet").content.decode()
    assert "Test money" in wallet
    assert "Payments go to a sandbox" in wallet
    assert wallet_of(consumer.personal_organization.pk, WalletKind.CREDIT).posted_nano == 12_340_000_000


@pytest.mark.django_db
def test_the_browser_may_be_sent_to_the_page_and_nowhere_else(browser: Client) -> None:
    policy = browser.get("/wallet")["content-security-policy"]
    assert "form-action 'self' http://127.0.0.1:8001;" in policy + ";"


@pytest.mark.django_db
def test_another_tenants_topup_is_not_there(till: Till, consumer: User, stranger: User) -> None:
    topup = till.buy(consumer)
    other = Client()
    other.force_login(stranger)
    assert other.get(f"/wallet/top-ups/{topup.pk}").status_code == 404
    assert Client().get(f"/wallet/top-ups/{topup.pk}").status_code == 302


@pytest.mark.django_db
def test_while_payments_are_away_the_page_says_so(till: Till, browser: Client) -> None:
    faults.add({"kind": "refuse", "remaining": "10"})
    answer = browser.post("/wallet/top-up", {"amount": "5"})
    assert answer.status_code == 503
    assert "Nothing was charged" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("amount", ["", "0", "0.99", "1.005", "-5", "10001", "NaN", "1e2", "9" * 40, "ten"])
def test_an_amount_that_makes_no_sense_buys_nothing(browser: Client, amount: str) -> None:
    response = browser.post("/wallet/top-up", {"amount": amount})
    assert response.status_code == 422
    assert "field-error" in response.content.decode()
    assert not Topup.objects.exists()


@pytest.mark.django_db
def test_a_store_for_real_money_speaks_of_no_test(browser: Client, settings: Settings) -> None:
    settings.STRIPE_LIVE, settings.SANDBOX = True, False
    page = browser.get("/wallet").content.decode()
    assert "Test mode" not in page
    assert "Test money" not in page
    assert "You pay on Stripe" in page


@pytest.mark.django_db
def test_a_developer_buys_nothing(stranger: User, consumer: User) -> None:
    organization = consumer.personal_organization
    Membership.objects.create(organization=organization, user=stranger, role=Role.DEVELOPER)
    client = Client()
    client.force_login(stranger)
    client.post(f"/organizations/{organization.pk}/switch")
    assert "Continue to payment" not in client.get("/wallet").content.decode()
    assert client.post("/wallet/top-up", {"amount": "5"}).status_code == 403


@pytest.mark.django_db
def test_the_statement_adds_up_to_the_balance(browser: Client, wallet: Wallet, make_run: MakeRun) -> None:
    run = make_run()
    wallet.refresh_from_db()
    lines = statement(wallet).lines
    assert sum(line.amount_nano for line in lines) == wallet.posted_nano == 10 * DOLLAR - run.charge_nano
    assert [line.is_test for line in lines] == [False, True]
    assert (lines[0].kind, lines[0].other, lines[0].amount_nano) == ("Usage", "provider", -run.charge_nano)
    assert {line.run_id for line in lines} == {run.pk, None}
    assert f"/usage/{run.pk}" in browser.get("/wallet").content.decode()


@pytest.mark.django_db
def test_pages_of_the_statement_follow_each_other(browser: Client, wallet: Wallet, make_run: MakeRun) -> None:
    for _turn in range(PER_PAGE + 2):
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
