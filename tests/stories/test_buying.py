"""How credit is bought: a card on the hosted page, a webhook, the wallet."""

from __future__ import annotations

import re
import sys

import pytest
from playwright.sync_api import Page, expect

from store.accounts.actions import ensure_personal_organization, sign_up
from tests.stack import Stack
from tests.stories.browsing import ANSWER_MS, DESK, PHONE, SHOP_PASSWORD, check, prepare, sign_in
from tests.test_bringup import free_port

pytestmark = [pytest.mark.story, pytest.mark.browser]


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


@pytest.fixture(scope="module")
def model() -> str:
    """None is called here."""
    return ""


@pytest.fixture(scope="module")
def site(stack: Stack) -> str:
    """A store, its CPU worker, and the sandbox; nobody has credit."""
    buyer = sign_up(email="consumer@example.com", password=SHOP_PASSWORD, name="Consumer", is_verified=True)
    ensure_personal_organization(buyer)
    prepare(stack)
    more = {"SANDBOX_PORT": str(free_port()), "PUBLIC_URL": stack.url.replace("127.0.0.1", "localhost")}
    stack._start("sandbox", [sys.executable, "-m", "store.sandbox"], more)
    stack.start_web(**more)
    stack.start_cpu(**more)
    return more["PUBLIC_URL"]


def look(page: Page) -> None:
    """A page has no sideways scrolling at any width, in any colours."""
    for size in (DESK, PHONE):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.set_viewport_size(DESK)  # type: ignore[arg-type]


def test_credit_is_bought_with_a_card_after_one_that_is_declined(page: Page) -> None:
    sign_in(page)
    check(page, ["/wallet"])
    look(page)
    page.get_by_label("Amount").fill("25")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("heading", name="$25.00")).to_be_visible(timeout=ANSWER_MS)
    expect(page.get_by_text("No real card, no real money")).to_be_visible()
    look(page)
    page.get_by_label("Card number").fill("4000 0000 0000 9995")
    page.get_by_role("button", name="Pay $25.00").click()
    expect(page.get_by_role("alert")).to_have_text("Your card has insufficient funds.")
    page.get_by_label("Card number").fill("4242 4242 4242 4242")
    page.get_by_role("button", name="Pay $25.00").click()
    expect(page).to_have_url(re.compile("/wallet/top-ups/"))
    expect(page.get_by_role("heading", name="$25.00 was added")).to_be_visible(timeout=ANSWER_MS)
    look(page)
    page.get_by_role("link", name=re.compile("Receipt TR-")).click()
    expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
    expect(page.locator("dd[data-total]")).to_have_text("$25.00")
    look(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF-")
    page.go_back()
    page.get_by_role("link", name="To the wallet").click()
    expect(page.locator("dd[data-balance]")).to_have_text("$25.00")
    expect(page.get_by_role("row", name=re.compile("Top-up"))).to_contain_text("Test money")
    look(page)
    save_a_card(page)
    give_it_back(page)
    check(page, ["/wallet/granted", "/wallet/invoices", "/wallet/top-ups", "/wallet/automatic", "/settings/billing"])


def save_a_card(page: Page) -> None:
    """Details for the tax, a card on the hosted page, and automatic top-ups with it."""
    page.goto("/settings/billing")
    page.get_by_label("Legal name").fill("Zażółć 日本 GmbH")
    page.get_by_label("Country").select_option("Austria")
    look(page)
    page.get_by_role("button", name="Save").click()
    page.goto("/wallet/automatic")
    page.get_by_role("button", name="Save a card").click()
    expect(page.get_by_role("heading", name="Save a card")).to_be_visible(timeout=ANSWER_MS)
    look(page)
    page.get_by_role("button", name="Save the card").click()
    expect(page.locator("[data-card]")).to_contain_text("4242", timeout=ANSWER_MS)
    page.get_by_label("Below a balance of").fill("30")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("Automatic top-ups are on.")).to_be_visible()
    look(page)
    page.goto("/wallet/granted")
    look(page)


def give_it_back(page: Page) -> None:
    """The first payment goes back to the card that paid."""
    page.goto("/wallet/top-ups?how=hand")
    look(page)
    page.get_by_role("row").nth(1).get_by_role("link").click()
    page.get_by_role("button", name="Ask for a refund").click()
    page.get_by_role("button", name="Give it back").click()
    expect(page.get_by_role("link", name=re.compile("Credit note TC-"))).to_be_visible(timeout=ANSWER_MS)
    look(page)
    page.goto("/wallet/invoices")
    expect(page.get_by_role("link", name=re.compile("^TC-[0-9-]+$"))).to_be_visible()
    look(page)
