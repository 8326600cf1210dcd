"""From a dropped file to a model that is called and on its way to the shelf, in a real browser and with a worker that trains."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from store.bringup.demo import SAMPLE
from store.catalog.models import Price
from store.ledger.audit import audit
from store.tuning.models import TuneJob
from tests.stack import Shop, Stack, open_shop
from tests.stories.browsing import ANSWER_MS, PHONE, check, prepare, sign_in

pytestmark = [pytest.mark.story, pytest.mark.browser, pytest.mark.timeout(1200)]

TRAINED_MS = 600_000  # a machine with much else to do
QUESTION = "Who's there?"
ANSWER = "Aye, my lord, the owl of Milton cries at noon."


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    """The sample model, which may be trained for three dollars a million tokens. Once the browser is closed, the books are proved."""
    opened = open_shop(SAMPLE)
    Price.objects.create(
        listing=opened.listing, input_nano=100_000_000, cached_input_nano=50_000_000, output_nano=400_000_000,
        training_nano=3_000_000_000, derivatives_allowed=True, royalty_ppm=100_000,
    )  # fmt: skip
    yield opened
    for job in TuneJob.objects.all():
        assert not job.is_open
        assert job.charged_tokens == job.trained_tokens
    assert audit() == []


@pytest.fixture(scope="module")
def site(stack: Stack, shop: Shop) -> str:
    """A running store with one worker of each kind."""
    prepare(stack)
    stack.start_web(INTERNAL_URL=stack.url)
    stack.start_cpu(INTERNAL_URL=stack.url)
    stack.start_gpu(TUNE_SLOTS="1")
    return stack.url.replace("127.0.0.1", "localhost")


def lines() -> bytes:
    """A small set of instructions, whose answer the base would never give."""
    dialogue = {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]}
    return (json.dumps(dialogue) + "\n").encode() * 48


def test_a_file_is_dropped_trained_called_and_brought_to_the_shelf(page: Page, model: str) -> None:
    sign_in(page)
    page.goto(f"/{model}")
    page.get_by_role("link", name="Fine-tune this model").click()
    data = {"name": "owl.jsonl", "mimeType": "application/jsonl", "buffer": lines()}
    page.locator("[data-dropzone] input[type=file]").set_input_files([data])  # type: ignore[list-item]
    expect(page.get_by_text("Arrived: owl.jsonl")).to_be_visible(timeout=ANSWER_MS)
    page.get_by_label("Epochs").first.fill("12")
    page.get_by_label("Batch size").fill("8")
    page.get_by_label("Name", exact=False).last.fill("owl")
    page.get_by_label("Prompts to watch").fill(QUESTION)
    expect(page.locator("#quote")).to_contain_text("so much is held", timeout=ANSWER_MS)
    expect(page.locator("#quote")).to_contain_text("10% of each call goes to its provider")
    expect(page.get_by_label("Learning rate").first).to_have_attribute("placeholder", re.compile(r"\d"))
    page.get_by_role("button", name="Start the training").click()

    expect(page).to_have_url(re.compile("/tune/ftjob-"), timeout=ANSWER_MS)
    job = page.url
    expect(page.locator("#live").get_by_text("Succeeded", exact=True)).to_be_visible(timeout=TRAINED_MS)
    expect(page.locator("[data-panel^='loss'] canvas")).to_be_visible(timeout=ANSWER_MS)
    assert int(page.locator("[data-panel^='loss']").get_attribute("data-points") or 0) > 10
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(page.locator("article", has_text=QUESTION)).to_contain_text("owl")
    expect(page.locator("#checkpoints-title")).to_be_visible()

    page.get_by_role("link", name="Open and try it").click()
    page.get_by_text("Settings").last.click()
    page.get_by_label("Most tokens").fill("24")
    page.get_by_label("Message").fill(QUESTION)
    page.get_by_label("Message").press("Enter")
    expect(page.locator(".turn-cost")).to_contain_text("tokens out", timeout=ANSWER_MS)
    assert "owl" in page.locator(".turn[data-role=assistant] .said").inner_text()

    page.goto(job)
    page.get_by_role("link", name="Become a provider and publish it").click()
    page.get_by_role("button", name="Enroll and go on").click()
    expect(page.get_by_text("You are a provider now.")).to_be_visible()
    page.goto(job)
    page.get_by_role("link", name="Publish it").click()
    page.get_by_role("button", name="Check these files").click()
    expect(page.get_by_text("The files are good")).to_be_visible(timeout=TRAINED_MS)
    page.get_by_role("link", name="Go on", exact=True).click()
    expect(page.get_by_text("What the store measured")).to_be_visible(timeout=TRAINED_MS)
    page.goto(job)
    page.get_by_role("link", name="Publish it").click()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("It is in the store")).to_be_visible(timeout=ANSWER_MS)

    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    check(page, ["/tune", job, f"/tune/compare?jobs={job.rpartition('/')[2]}", "/tune/new"])
