"""A consumer's way through the store in a real browser: sign-up, key, credit, playground; and how every page looks on a phone."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from playwright.sync_api import Browser, Page, Route, expect

from store.accounts.models import User
from store.billing.actions import top_up_test
from tests.servers import Servers
from tests.stack import Stack
from tests.stories.browsing import ANSWER_MS, DESK, PHONE, SHOP_PASSWORD, check, sign_in
from tests.waiting import await_that

pytestmark = [pytest.mark.story, pytest.mark.browser]

PASSWORD = "a rather long phrase"
POINTS = 100_000


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


def mailed_link(servers: Servers, email: str) -> str:
    """The link in the newest mail to an address."""

    def found() -> str | None:
        mails = sorted((servers.data_dir / "mail").glob("*.log"), key=lambda file: file.stat().st_mtime)
        texts = [text for text in (mail.read_text() for mail in mails) if f"To: {email}" in text]
        links = re.findall(r"http://\S+", texts[-1]) if texts else []
        return links[0] if links else None

    return await_that(found, f"a mail to {email}")


def pay(email: str) -> None:
    """Five dollars of test money for somebody."""
    user = User.objects.get(email=email)
    top_up_test(organization=user.personal_organization, user=user, amount_nano=5 * 10**9)
    connection.close()


def test_from_sign_up_to_a_priced_answer(page: Page, site: str, stack: Stack, model: str, servers: Servers) -> None:
    page.goto("/")
    page.get_by_role("link", name="Sign up").first.click()
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign Up").click()
    expect(page.get_by_role("heading", name="Verify Your Email Address")).to_be_visible()
    page.goto(mailed_link(servers, "ada@example.com").replace(stack.url, site))
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".site-header summary")).to_contain_text("ada")

    page.goto(f"/{model}")
    page.get_by_label("Message").fill("Shall I compare thee")
    page.get_by_label("Message").press("Enter")
    expect(page.get_by_role("link", name="Add credit")).to_be_visible(timeout=ANSWER_MS)  # 402: nothing runs on credit
    page.get_by_role("link", name="Add credit").click()
    expect(page.get_by_role("button", name="Continue to payment")).to_be_visible()  # the way on: test_buying
    with ThreadPoolExecutor(1) as thread:  # the browser's own has an event loop, beside which Django asks no database
        thread.submit(pay, "ada@example.com").result()
    page.reload()
    expect(page.locator(".balance")).to_contain_text("$5.00")

    page.goto(f"/{model}")
    page.get_by_role("link", name="Make a key for it").click()
    page.get_by_label("Name").fill("notebook")
    page.get_by_label("Budget per day").fill("1")
    page.get_by_role("button", name="Make the key").click()
    secret = page.locator("#secret").inner_text()
    made = stack.client(secret).chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Shall I"}], max_tokens=8
    )
    assert made.usage
    assert made.usage.completion_tokens == 8

    page.goto(f"/{model}")
    page.get_by_text("Settings").last.click()
    page.get_by_label("Most tokens").fill("24")
    page.get_by_label("Message").fill("Shall I compare thee")
    page.get_by_label("Message").press("Enter")
    expect(page.locator(".turn-cost")).to_contain_text("24 tokens out", timeout=ANSWER_MS)
    assert page.locator(".turn[data-role=assistant] .said").inner_text()
    left = page.locator("[data-balance]").first.inner_text()
    assert f"balance {left}" in page.locator(".turn-cost").inner_text()

    page.goto("/usage/runs")
    expect(page.locator(".balance")).to_contain_text(left)
    expect(page.locator(".table tbody tr")).to_have_count(2)
    page.locator(".table tbody tr a").first.click()
    expect(page.get_by_text("Playground")).to_be_visible()


def test_a_long_answer_is_stopped_and_charged_for_what_was_made(page: Page, model: str) -> None:
    sign_in(page)
    page.goto(f"/{model}")
    page.get_by_text("Settings").last.click()
    page.get_by_label("Most tokens").fill("2000")
    page.get_by_label("Message").fill("Go on")
    page.get_by_role("button", name="Send").click()
    said = page.locator(".turn[data-role=assistant] .said")
    expect(said).not_to_be_empty(timeout=ANSWER_MS)
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    cancelled = page.locator(".table tbody tr", has_text="Cancelled")

    def listed() -> bool:
        page.goto("/usage/runs")
        return cancelled.count() == 1

    await_that(listed, "the run is settled as cancelled")
    assert 0 < int(cancelled.locator("td").nth(4).inner_text().replace(",", "")) < 2000


def test_a_passkey_signs_one_in_under_the_strict_policy(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
               "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_in(page, "provider@example.com")  # who signs in nowhere else: from here on the password is not enough
    page.goto("/accounts/2fa/webauthn/add/")
    page.get_by_label("Password").fill(SHOP_PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name").fill("this machine")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Recovery Codes")).to_be_visible()
    page.locator(".site-header summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator(".balance")).to_be_visible()


def test_a_key_is_revoked_after_one_was_asked(page: Page, model: str) -> None:
    sign_in(page)
    page.goto("/keys/new")
    page.get_by_label("Name").fill("short-lived")
    page.get_by_label(model).check()
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_role("link", name="short-lived").click()
    page.get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog", name="Revoke this key?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.locator(".table tbody tr", has_text="short-lived")).to_contain_text("Revoked")


def test_the_catalog_filters_while_one_types(page: Page, model: str) -> None:
    page.goto("/models")
    page.get_by_label("Search").fill("no such thing")
    expect(page.get_by_text("No model fits")).to_be_visible()
    expect(page).to_have_url(re.compile("q=no"))
    page.get_by_label("Search").fill("tiny")
    expect(page.get_by_role("link", name=model)).to_be_visible()


def test_the_catalog_works_without_script(chromium: Browser, site: str, model: str) -> None:
    context = chromium.new_context(java_script_enabled=False, base_url=site)
    page = context.new_page()
    page.goto("/models")
    page.get_by_label("Search").fill("tiny")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("link", name=model)).to_be_visible()
    context.close()


def test_colours_are_kept(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Colours").click()
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_a_chart_draws_100_000_points(page: Page) -> None:
    sign_in(page)
    many = {
        "times": [1_700_000_000 + second for second in range(POINTS)],
        "series": [
            {"label": "Tokens", "unit": "tokens", "kind": "line", "values": [n * n % 977 for n in range(POINTS)]}
        ],
    }

    def with_many(route: Route) -> None:
        answer = route.fetch()
        body = re.sub(
            r'(<script id="chart-data"[^>]*>).*?(</script>)', rf"\1{json.dumps(many)}\2", answer.text(), flags=re.DOTALL
        )
        route.fulfill(response=answer, body=body)

    page.route("**/usage", with_many)
    page.goto("/usage")
    chart = page.locator(f'.chart[data-points="{POINTS}"]')
    expect(chart.locator("canvas")).to_be_visible()
    drawn = chart.locator("canvas").evaluate(
        "c => new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer).filter(Boolean).length"
    )
    assert drawn > 10_000


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_is_wider_than_the_screen_and_every_control_is_large_enough(
    page: Page, site: str, model: str, size: dict[str, int], theme: str
) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.context.add_cookies([{"name": "theme", "value": theme, "url": site}])
    addresses = [
        "/",
        "/models",
        "/models?q=tiny&licence=apache-2.0",
        "/models?q=none",
        "/rankings",
        "/rankings/newest",
        f"/{model}",
        f"/{model}/reviews",
        f"/compare?m={model}",
        "/compare",
        "/docs/measuring",
        "/categories/chat",
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/password/reset/",
    ]
    check(page, addresses)
    sign_in(page)
    check(page, [f"/{model}", f"/{model}/reviews", f"/compare?m={model}", "/favourites", "/keys", "/keys/new", "/usage", "/usage/runs", "/settings/budgets", "/settings/budgets/new", "/wallet", "/provider", "/settings", "/accounts/2fa/",
                 "/accounts/email/", "/accounts/sessions/", "/accounts/password/change/"])  # fmt: skip
