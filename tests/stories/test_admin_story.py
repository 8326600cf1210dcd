"""Those who run the store at work: a payment is given back, by one and by two; a bank takes one back; and the books are right."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import pytest
import stripe
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.contrib.auth.models import Group
from django.db import connection
from playwright.sync_api import Browser, Page, expect

from store.accounts.actions import ensure_personal_organization, sign_up
from store.accounts.models import User
from store.backoffice.models import AdminAction
from store.billing.models import Dispute, QuarantineReason, RefundOrder
from store.billing.settling import quarantine
from store.ledger.audit import audit
from store.ledger.models import Transfer, Wallet
from tests.conftest import DOLLAR
from tests.sandboxed import DISPUTED, VISA
from tests.stack import Stack
from tests.stories.browsing import ANSWER_MS, DESK, SHOP_PASSWORD, prepare, sign_in
from tests.stories.test_buying import look
from tests.test_bringup import free_port
from tests.waiting import await_that

pytestmark = [pytest.mark.story, pytest.mark.browser]
SECRETS: Final = {
    "one@example.com": "JBSWY3DPEHPK3PXP",
    "two@example.com": "KRSXG5CTMVRXEZLU",
}  # of their second factors
GROUPS: Final = {"one@example.com": "Billing operator", "two@example.com": "Billing approver"}
TOTP_PERIOD_S: Final = 30


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


@pytest.fixture(scope="module")
def model() -> str:
    """None is called here."""
    return ""


@pytest.fixture(scope="module")
def sandbox_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def site(stack: Stack, sandbox_port: int) -> str:
    """A store, its CPU worker, and the sandbox; a customer, who has nothing yet, and two people who run the store."""
    buyer = sign_up(email="consumer@example.com", password=SHOP_PASSWORD, name="Consumer", is_verified=True)
    ensure_personal_organization(buyer)
    for email, secret in SECRETS.items():
        person = sign_up(email=email, password=SHOP_PASSWORD, name=email[:3], is_verified=True)
        User.objects.filter(pk=person.pk).update(is_staff=True)
        person.groups.add(Group.objects.get(name=GROUPS[email]))
        TOTP.activate(person, secret)
    quarantine("pi_of_nobody", QuarantineReason.UNKNOWN, expected="a top-up", found="none")
    prepare(stack)
    more = {"SANDBOX_PORT": str(sandbox_port), "PUBLIC_URL": stack.url.replace("127.0.0.1", "localhost")}
    stack._start("sandbox", [sys.executable, "-m", "store.sandbox"], more)
    stack.start_web(**more)
    stack.start_cpu(**more)
    return more["PUBLIC_URL"]


@contextmanager
def person(chromium: Browser, site: str, email: str) -> Iterator[Page]:
    """A browser of one of those who run the store, signed in with both factors."""
    context = chromium.new_context(viewport=DESK, base_url=site)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto("/accounts/login/?next=/admin/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(SHOP_PASSWORD)
    page.get_by_role("button", name="Sign In", exact=True).click()
    code = format_hotp_value(hotp_value(SECRETS[email], int(time.time()) // TOTP_PERIOD_S))
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign In", exact=True).click()
    expect(page.get_by_role("heading", name="To look at")).to_be_visible()
    yield page
    context.close()


def buy(page: Page, dollars: int, card: str) -> None:
    page.goto("/wallet")
    page.get_by_label("Amount").fill(str(dollars))
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("heading", name=f"${dollars}.00")).to_be_visible(timeout=ANSWER_MS)
    page.get_by_label("Card number").fill(card)
    page.get_by_role("button", name=f"Pay ${dollars}.00").click()
    expect(page.get_by_role("heading", name=f"${dollars}.00 was added")).to_be_visible(timeout=ANSWER_MS)


def ask_for_refund(page: Page, dollars: int) -> None:
    """From the payment to the page that says what it comes to."""
    page.goto("/admin/billing/topup/")
    page.get_by_role("row", name=re.compile(r"\$300\.00")).get_by_role("link").first.click()
    look(page)
    page.get_by_role("link", name=re.compile(r"Refund$")).click()  # before it stands the name of an icon
    page.get_by_label("Amount in dollars").fill(str(dollars))
    page.get_by_label("Reason").fill("An outage of a day.")
    look(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text(f"${dollars}.00", exact=True)).to_be_visible()
    look(page)


def until_given_back(page: Page) -> None:
    """A worker asks Stripe; the action's page says how it stands whenever it is looked at."""

    def is_given_back() -> bool:
        page.reload()
        return page.get_by_role("link", name="Given back").is_visible()

    await_that(is_given_back, "the worker has asked Stripe", timeout_s=ANSWER_MS / 1000)
    look(page)


def books() -> dict[str, object]:
    """What the database says of it, in dollars; asked in a thread without an event loop, beside which Django asks none."""

    def read() -> dict[str, object]:
        try:
            wallets = {str(each): each.posted_nano / DOLLAR for each in Wallet.objects.exclude(posted_nano=0)}
            orders = RefundOrder.objects.order_by("created_at")
            refunds = Transfer.objects.filter(kind="refund").order_by("pk")
            return {
                "wallets": wallets, "orders": [(each.amount_nano / DOLLAR, each.status, str(each.created_by)) for each in orders],
                "refunds": [each.amount_nano / DOLLAR for each in refunds],
                "decided_by": [str(each.decided_by or "") for each in AdminAction.objects.order_by("created_at")],
                "disputes": list(Dispute.objects.values_list("status", flat=True)), "audit": [str(each) for each in audit()],
            }  # fmt: skip
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(read).result()


def test_payments_go_back_by_one_and_by_two_and_a_bank_takes_one(
    page: Page, chromium: Browser, site: str, sandbox_port: int
) -> None:
    sign_in(page)
    buy(page, 300, VISA)
    with person(chromium, site, "one@example.com") as one:
        look(one)
        ask_for_refund(one, 30)
        one.get_by_role("button", name="Do it").click()
        expect(one.get_by_text("It is done.")).to_be_visible()
        until_given_back(one)
        ask_for_refund(one, 150)
        one.get_by_role("button", name="Ask for approval").click()
        expect(one.get_by_text("It waits for a second person.")).to_be_visible()
        look(one)
        waits = one.url
        assert books()["refunds"] == [30]
        with person(chromium, site, "two@example.com") as two:
            expect(two.locator("[data-figure=actions]")).to_contain_text("1")
            two.goto(waits)
            two.get_by_role("link", name="Approve or refuse").click()
            look(two)
            two.get_by_role("button", name="Approve").click()
            expect(two.get_by_text("It was approved, and is done.")).to_be_visible()
            until_given_back(two)
        page.goto("/wallet")
        expect(page.locator("dd[data-balance]")).to_have_text("$120.00")
        found = books()
        assert found["wallets"] == {"consumer/credit": 120, "store/test_bank": -120}
        assert found["orders"] == [(30, "done", "one@example.com"), (150, "done", "one@example.com")]
        assert (found["refunds"], found["decided_by"]) == ([30, 150], ["", "two@example.com"])

        buy(page, 50, DISPUTED)
        see(one, "disputes", "$50.00")
        look(one)
        assert books()["wallets"] == {"consumer/credit": 120, "consumer/disputed": 50, "store/test_bank": -170}
        decide(sandbox_port, "losing_evidence")
        see(one, "disputes_lost", "$50.00")
        expect(one.locator("[data-figure=disputes]")).to_contain_text("$0.00")
        found = books()
        assert (found["wallets"], found["disputes"]) == (
            {"consumer/credit": 120, "store/test_bank": -120},
            ["lost"],
        )
        assert found["audit"] == []
        make_a_code(one)
        settle_quarantine(one)
        for page_of in ("end-code", "retry-payout", "release-earnings"):
            one.goto(f"/admin/backoffice/adminaction/{page_of}")
            expect(one.get_by_label("Reason")).to_be_visible()
            look(one)


def make_a_code(page: Page) -> None:
    """One without a limit, which waits."""
    page.goto("/admin/billing/promocode/")
    page.get_by_role("link", name="Make a promo code").click()
    page.get_by_label("Code").fill("spring")
    page.get_by_label("Gives percent").fill("20")
    page.get_by_label("Reason").fill("For the fair.")
    look(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("SPRING: 20 % of a top-up, at most $10,000.00")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.get_by_text("It waits for a second person.")).to_be_visible()
    look(page)
    page.goto("/admin/backoffice/adminaction/")
    look(page)


def settle_quarantine(page: Page) -> None:
    """What was done about a payment that nobody asked for is written down; then nothing is open."""
    see(page, "quarantine", "1")
    page.locator("[data-figure=quarantine]").click()
    page.get_by_role("link", name="pi_of_nobody").click()
    page.get_by_role("link", name="Write what was done").click()
    page.get_by_label("What was done about it").fill("Refunded in Stripe's dashboard.")
    look(page)
    page.get_by_role("button", name="Write it down").click()
    expect(page.get_by_text("It is written down.")).to_be_visible()
    look(page)
    see(page, "quarantine", "0")


def see(page: Page, figure: str, words: str) -> None:
    """On the dashboard, as soon as Stripe has told of it."""

    def is_there() -> bool:
        page.goto("/admin/")
        return words in page.locator(f"[data-figure={figure}]").inner_text()

    await_that(is_there, f"{figure} is {words}", timeout_s=ANSWER_MS / 1000)


def decide(port: int, evidence: str) -> None:
    """The bank has looked at what the store sent it: so are Stripe's test disputes decided."""
    sandbox = stripe.StripeClient("sk_test_sandbox", base_addresses={"api": f"http://127.0.0.1:{port}"})
    dispute = sandbox.v1.disputes.list().data[0]
    sandbox.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}, "submit": True})
