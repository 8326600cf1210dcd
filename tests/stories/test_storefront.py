"""How a customer finds a model: searches by keyboard, compares with a prompt of their own, pays, and says how it was."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from store.catalog.actions import publish_folder
from tests.stack import PRICE, Shop, Stack
from tests.stories.browsing import ANSWER_MS, PHONE, sign_in
from tests.tiny_model import write_model

pytestmark = [pytest.mark.story, pytest.mark.browser]


@pytest.fixture(autouse=True)
def db(stack: Stack) -> None:
    """In the place of pytest-django's: the rows of a running store are committed, so no transaction goes round a test."""


@pytest.fixture(scope="module")
def rival(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A second model of the same provider, with another licence."""
    folder = write_model(tmp_path_factory.mktemp("rival") / "rival", seed=2)
    seller = shop.listing.organization
    release = publish_folder(
        organization=seller, user=seller.personal_of, folder=folder, slug="rival", price=PRICE, title="Rival", licence="mit",
        summary="Sonnets about summer",
    )  # fmt: skip
    return release.listing.name


@pytest.fixture(scope="module")
def model(shop: Shop, rival: str) -> str:
    """The first model's name; the second is made before the browser's event loop runs in this thread."""
    return shop.model


def test_a_model_is_found_by_keyboard_without_a_reload(page: Page, model: str, rival: str) -> None:
    page.goto("/models")
    page.evaluate("window.same = true")
    search = page.get_by_label("Search", exact=True)
    search.focus()
    page.keyboard.type("sonets sumer")  # neither word is spelled so
    expect(page.get_by_role("link", name=rival)).to_be_visible()
    expect(page.get_by_role("link", name=model)).to_be_hidden()
    expect(search).to_be_focused()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.press("Delete")
    expect(page.get_by_role("link", name=model)).to_be_visible()
    licence = page.get_by_role("checkbox", name=re.compile("^mit"))
    licence.focus()
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("licence=mit"))
    expect(page.get_by_role("link", name=model)).to_be_hidden()
    expect(licence).to_be_focused()
    expect(licence).to_be_checked()
    page.get_by_role("link", name="Remove Licence: mit").press("Enter")
    expect(page.get_by_role("link", name=model)).to_be_visible()
    expect(licence).not_to_be_checked()
    assert page.evaluate("window.same")


def test_on_a_phone_the_sheet_stays_while_one_chooses(page: Page, model: str, rival: str) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.goto("/models")
    page.locator("summary", has_text="Filter").click()
    page.get_by_role("checkbox", name=re.compile("^mit")).check()
    page.locator("summary", has_text="Show 1 model").click()
    expect(page.get_by_role("link", name=rival)).to_be_visible()
    expect(page.get_by_role("link", name=model)).to_be_hidden()


def test_on_a_phone_and_without_script_facets_are_a_sheet(chromium: Browser, site: str, model: str, rival: str) -> None:
    context = chromium.new_context(java_script_enabled=False, base_url=site, viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/models")
    licence = page.get_by_role("checkbox", name=re.compile("^mit"))
    expect(licence).to_be_hidden()
    page.locator("summary", has_text="Filter").click()
    licence.check()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name=rival)).to_be_visible()
    expect(page.get_by_role("link", name=model)).to_be_hidden()
    expect(page.get_by_text("Filter (1)")).to_be_visible()
    context.close()


def test_two_models_answer_the_same_prompt_side_by_side(page: Page, model: str, rival: str) -> None:
    sign_in(page)
    page.goto("/models")
    for name in (model, rival):
        page.get_by_label(f"Compare {name}").check()
    page.get_by_role("button", name="Compare chosen").click()
    expect(page.get_by_role("columnheader")).to_have_count(2)
    before = page.locator("[data-balance]").first.inner_text()
    page.get_by_text("Settings").last.click()
    page.get_by_label("Most tokens").fill("12")
    page.get_by_label("Message").fill("Shall I compare thee")
    page.get_by_label("Message").press("Enter")
    answers = page.locator("[data-answer]")
    for index in range(2):
        line = answers.nth(index).locator(".turn-cost")
        expect(line).to_contain_text("12 tokens out", timeout=ANSWER_MS)
        for said in (r"\d+ tokens in", r"first token [\d,]+ ms", r"price \$0\.00"):
            expect(line).to_contain_text(re.compile(said))
        assert answers.nth(index).locator(".said").inner_text()
    assert page.locator("[data-balance]").first.inner_text() != before


def test_a_customer_says_how_it_was_and_the_provider_answers(
    page: Page, site: str, chromium: Browser, model: str
) -> None:
    sign_in(page)  # the consumer, who has called it
    page.goto(f"/{model}")
    page.get_by_role("button", name="Favourite").click()
    expect(page.get_by_role("button", name="Favourite", pressed=True)).to_be_visible()
    page.get_by_role("link", name="Write a review").click()
    page.get_by_text("4 stars").last.click()
    page.get_by_label(re.compile("What is it good for")).fill("It never ends by itself.")
    page.get_by_role("button", name="Publish the review").click()
    expect(page.get_by_text("Your review is published.")).to_be_visible()
    expect(page.locator(".review")).to_contain_text("It never ends by itself.")

    other = chromium.new_context(base_url=site)
    seller = other.new_page()
    sign_in(seller, "provider@example.com")
    seller.goto(f"/{model}/reviews")
    seller.get_by_text("Reply", exact=True).click()
    seller.get_by_label("Your reply").fill("That is how it was made.")
    seller.get_by_role("button", name="Send the reply").click()
    expect(seller.locator(".review-reply")).to_contain_text("That is how it was made.")
    other.close()
    page.goto(f"/{model}")
    expect(page.locator(".review-reply")).to_contain_text("That is how it was made.")
    page.goto("/favourites")
    expect(page.get_by_role("link", name=model)).to_be_visible()
