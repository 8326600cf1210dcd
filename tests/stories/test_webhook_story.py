"""A member tells the store where to post what happens, tries it, and sees what came of it, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from standardwebhooks.webhooks import Webhook

from tests.stack import Stack
from tests.store.webhooks.conftest import OpenReceiver, open_receiver
from tests.store.webhooks.receiver import answer
from tests.stories.browsing import ANSWER_MS, PHONE, check, sign_in

__all__ = ["open_receiver"]
pytestmark = [pytest.mark.story, pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


def test_a_webhook_is_added_tried_and_mended(page: Page, stack: Stack, open_receiver: OpenReceiver) -> None:
    receiver = open_receiver(answer(500, "The disk is full."), answer(204))
    stack.start_cpu()
    sign_in(page)
    page.goto("/settings")
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_label("What is chosen here").check()
    page.get_by_label("fine_tuning.job.failed").check()
    page.get_by_role("button", name="Add the webhook").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_role("link", name="I have stored it").click()
    expect(page.get_by_text("Nothing was sent yet")).to_be_visible()

    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("It answered with the status 500.")).to_be_visible(timeout=ANSWER_MS)
    expect(page.get_by_text("The disk is full.")).to_be_visible()
    delivery = page.url
    page.get_by_role("button", name="Send again").click()
    expect(page.locator("#delivery").get_by_text("Delivered", exact=True)).to_be_visible(timeout=ANSWER_MS)
    assert len(set(receiver.ids)) == 1
    Webhook(secret).verify(receiver.received[-1].body, receiver.received[-1].headers)

    page.goto("/settings/webhooks")
    page.get_by_role("link", name=receiver.url).click()
    webhook = page.url
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    check(page, ["/settings/webhooks", webhook, delivery])
    page.goto(webhook)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("/settings/webhooks$"))
