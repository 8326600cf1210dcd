"""A running store, and browsers that look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from store.usage.models import UsageBucket
from store.usage.rollup import roll_up
from tests.stack import Shop, Stack
from tests.stories.browsing import CHROMIUM, DESK, FLAGS, prepare
from tests.waiting import await_that


def is_counted() -> bool:
    """Counts what was used, as the clock of a store would: this one has none."""
    roll_up()
    return UsageBucket.objects.exists()


@pytest.fixture(scope="module")
def site(stack: Stack, shop: Shop) -> str:
    """The address of a running store with one model, which was called once. A name: a passkey never belongs to an address of digits."""
    prepare(stack)
    stack.start_web()
    stack.start_gpu()
    stack.client(shop.secret, max_retries=8).completions.create(model=shop.model, prompt="Shall I", max_tokens=8)
    await_that(is_counted, "the call is counted as usage")
    return stack.url.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def model(shop: Shop) -> str:
    """Its name, read before the browser's event loop runs in this thread: Django's models refuse to be asked beside one."""
    return shop.model


@pytest.fixture(scope="module")
def chromium(site: str, model: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """A fresh browser at a desk. Whatever its console says of broken policy or script fails the test."""
    context = chromium.new_context(viewport=DESK, base_url=site)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(30_000)
    yield page
    context.close()
    assert [said for said in complaints if "402 (" not in said] == []
