"""How a provider is paid: Stripe's page, earnings, a payout, a statement that is the ledger to the unit."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from store.accounts.actions import become_provider, ensure_personal_organization, sign_up
from store.accounts.models import Organization
from store.ledger.actions import store_wallet, transfer, wallet_of
from store.ledger.models import TransferKind, WalletKind
from tests.stack import Stack
from tests.stories.browsing import ANSWER_MS, SHOP_PASSWORD, check, prepare, sign_in
from tests.stories.test_buying import look
from tests.test_bringup import free_port

pytestmark = [pytest.mark.story, pytest.mark.browser]
EARNED_NANO = 25_000_000_007


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


@pytest.fixture(scope="module")
def model() -> str:
    """None is called here."""
    return ""


@pytest.fixture(scope="module")
def site(stack: Stack) -> str:
    """A store that holds nothing back, its CPU worker, and the sandbox; a provider has earned something."""
    seller = sign_up(email="provider@example.com", password=SHOP_PASSWORD, name="Provider", is_verified=True)
    organization: Organization = ensure_personal_organization(seller)
    become_provider(organization=organization, user=seller, about="", website="")
    transfer(
        key="earned", debit_id=store_wallet(WalletKind.TEST_BANK).pk, amount_nano=EARNED_NANO, kind=TransferKind.USAGE,
        credit_id=wallet_of(organization.pk, WalletKind.EARNINGS).pk,
    )  # fmt: skip
    prepare(stack)
    more = {
        "SANDBOX_PORT": str(free_port()), "PUBLIC_URL": stack.url.replace("127.0.0.1", "localhost"), "EARNINGS_HOLD_BACK_DAYS": "0",
        "PAYOUT_GRACE_S": "0", "PAYOUT_FEE_NANO": "250000000",
    }  # fmt: skip
    stack._start("sandbox", [sys.executable, "-m", "store.sandbox"], more)
    stack.start_web(**more)
    stack.start_cpu(**more)
    return more["PUBLIC_URL"]


def test_a_provider_is_paid_and_the_statement_is_the_ledger(page: Page, tmp_path: Path) -> None:
    sign_in(page, "provider@example.com")
    check(page, ["/provider/statements", "/provider/payouts"])
    page.get_by_role("button", name="Set up payouts").click()
    expect(page.get_by_text("No real card, no real money")).to_be_visible(timeout=ANSWER_MS)
    look(page)
    page.get_by_label("Name of the business or person").fill("Ada & Søn")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Where your money goes")).to_be_visible()
    page.get_by_role("button", name="Save and finish later").click()
    expect(page.get_by_text("The page was not finished")).to_be_visible(timeout=ANSWER_MS)
    page.get_by_role("button", name="Go on at Stripe").click()
    expect(page.get_by_text("Step 2 of 2")).to_be_visible(timeout=ANSWER_MS)
    look(page)
    page.get_by_role("button", name="Agree to the terms and finish").click()
    expect(page.get_by_text("Stripe pays you in USD")).to_be_visible(timeout=ANSWER_MS)
    look(page)
    page.get_by_role("button", name="Pay out", exact=True).click()
    expect(page.get_by_role("heading", name="Payout of $24.75")).to_be_visible()
    look(page)
    expect(page.locator(".badge-good", has_text="Paid")).to_be_visible(
        timeout=ANSWER_MS
    )  # the page looks again by itself
    expect(page.get_by_text("24.75 USD")).to_be_visible()
    look(page)
    page.goto("/provider/payouts")
    expect(page.locator("dd[data-available]")).to_have_text("$0.000000007")
    page.get_by_role("link", name="Statements").click()
    expect(page.locator("dd[data-closing]")).to_have_text("$0.000000007")
    check(page, ["/provider/statements"])
    look(page)
    with page.expect_download() as downloading:
        page.get_by_role("link", name="CSV", exact=True).first.click()
    downloading.value.save_as(tmp_path / "statement.csv")
    with (tmp_path / "statement.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert re.fullmatch(r"statement-provider-org-\d{4}-\d{2}\.csv", downloading.value.suggested_filename)
    assert [(row["kind"], int(row["amount_nano"])) for row in rows[1:-1]] == [
        ("usage", EARNED_NANO),
        ("payout", -25_000_000_000),
    ]
    assert int(rows[-1]["balance_nano"]) == sum(int(row["amount_nano"]) for row in rows) == 7
