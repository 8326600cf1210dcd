from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing
from store.reputation.actions import write_review
from store.reputation.models import Review
from tests.store.console.conftest import MakeRun

ADDRESS = "/provider/bard/reviews"
GOOD = {"stars": "5", "text": "Does what it says."}


@pytest.fixture
def customer(browser: Client, make_run: MakeRun) -> Client:
    """The consumer, who has paid for a call."""
    make_run()
    return browser


@pytest.fixture
def review(customer: Client, consumer: User, listing: Listing) -> Review:
    return write_review(listing=listing, user=consumer, stars=4, text="Good <b>verse</b>.")


@pytest.fixture
def judge(moderator: User) -> Client:
    """The moderator's browser."""
    browser = Client()
    browser.force_login(moderator)
    return browser


def test_a_customer_writes_and_everybody_reads(customer: Client, client: Client) -> None:
    assert customer.post(ADDRESS, GOOD).headers["Location"] == ADDRESS
    for page in (Client().get(ADDRESS), Client().get("/provider/bard")):
        assert "Does what it says." in page.content.decode()


def test_writing_again_edits(customer: Client, review: Review) -> None:
    assert "Your review" in customer.get(ADDRESS).content.decode()
    customer.post(ADDRESS, {"stars": "1", "text": "It broke."})
    page = Client().get(ADDRESS).content.decode()
    assert "It broke." in page
    assert "Good" not in page
    assert "edited" in page
    assert Review.objects.count() == 1


def test_what_a_person_wrote_is_text(review: Review) -> None:
    assert "Good &lt;b&gt;verse&lt;/b&gt;." in Client().get(ADDRESS).content.decode()


def test_who_never_paid_is_told_why_they_cannot(
    browser: Client, seller: Client, client: Client, listing: Listing
) -> None:
    for visitor in (browser, seller):
        page = visitor.post(ADDRESS, GOOD).content.decode()
        assert "No organization of yours has paid" in page
        assert 'name="stars"' not in page
    assert "Sign in with the account that called" in Client().post(ADDRESS, GOOD).content.decode()
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    "said",
    [{"text": "no stars"}, {"stars": "6"}, {"stars": "five"}, {"stars": "-1"}, {"stars": "5", "text": "x" * 4001}],
)
def test_what_is_no_review_is_refused_at_its_field(customer: Client, said: dict[str, str]) -> None:
    answer = customer.post(ADDRESS, said)
    assert answer.status_code == 422
    assert "field-error" in answer.content.decode()
    assert not Review.objects.exists()


def test_the_provider_replies_and_changes_the_reply(seller: Client, review: Review) -> None:
    address = f"/reviews/{review.pk}/reply"
    assert "Your reply, for everybody" in seller.get(ADDRESS).content.decode()
    for words in ("Thank you.", "Thank you so much."):
        assert seller.post(address, {"text": words}).status_code == 302
        assert words in Client().get(ADDRESS).content.decode()
    assert seller.post(address, {"text": " "}).status_code == 400


def test_nobody_else_replies(browser: Client, judge: Client, review: Review) -> None:
    for visitor in (browser, judge):
        assert visitor.post(f"/reviews/{review.pk}/reply", {"text": "Hi"}).status_code == 403
        assert "Your reply, for everybody" not in visitor.get(ADDRESS).content.decode()


def test_a_moderator_hides_with_a_reason_and_shows_again(judge: Client, customer: Client, review: Review) -> None:
    hide, show = f"/reviews/{review.pk}/hide", f"/reviews/{review.pk}/show"
    assert judge.post(hide, {"reason": ""}).status_code == 400
    assert judge.post(hide, {"reason": "An advertisement"}).status_code == 302
    assert "verse" not in Client().get(ADDRESS).content.decode()
    mine = customer.get(ADDRESS).content.decode()
    assert "An advertisement" in mine
    assert "cannot be edited" in mine
    assert customer.post(ADDRESS, GOOD).status_code == 422
    assert judge.post(show).status_code == 302
    assert "verse" in Client().get(ADDRESS).content.decode()


def test_nobody_else_hides(customer: Client, seller: Client, review: Review) -> None:
    for visitor in (customer, seller):
        for verb in ("hide", "show"):
            assert visitor.post(f"/reviews/{review.pk}/{verb}", {"reason": "x"}).status_code == 403
    assert "verse" in Client().get(ADDRESS).content.decode()


@pytest.mark.parametrize("verb", ["reply", "hide", "show", "report"])
def test_what_does_not_exist_or_is_anothers_is_a_404(browser: Client, review: Review, verb: str) -> None:
    assert browser.post(f"/reviews/{review.pk + 1}/{verb}", {"text": "x", "reason": "x"}).status_code == 404
    assert browser.get(f"/reviews/{review.pk}/{verb}").status_code == 405
    Listing.objects.update(is_private=True)
    assert browser.post(f"/reviews/{review.pk}/{verb}", {"text": "x", "reason": "x"}).status_code in (403, 404)
    assert Client().get(ADDRESS).status_code == 404
    assert Client().post(f"/reviews/{review.pk}/{verb}").headers["Location"].startswith("/accounts/login/")


def test_an_author_without_a_name_is_not_named_by_their_address(review: Review, consumer: User) -> None:
    User.objects.filter(pk=consumer.pk).update(name="", email="secret-name@example.com")
    assert "secret-name" not in Client().get(ADDRESS).content.decode()


def test_a_report_reaches_the_moderators_who_close_it(
    judge: Client, seller: Client, customer: Client, review: Review
) -> None:
    address, queue = f"/reviews/{review.pk}/report", "/reviews/reported"
    assert seller.post(address, {"text": "Not about <this> model"}).status_code == 302
    assert seller.post(address, {"text": ""}).status_code == 400
    assert "Not about &lt;this&gt; model" in judge.get(queue).content.decode()
    for visitor in (seller, customer):
        assert visitor.get(queue).status_code == 404
    judge.post(f"/reviews/{review.pk}/show")
    assert "No review waits" in judge.get(queue).content.decode()
    assert "verse" in Client().get(ADDRESS).content.decode()


def test_stars_are_counted(customer: Client, review: Review) -> None:
    page = Client().get(ADDRESS).content.decode()
    assert '<meter min="0" max="1" value="1"' in page
    assert "5 stars" in page


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40])
def test_a_cursor_that_is_none_begins_at_the_beginning(review: Review, before: str) -> None:
    assert "verse" in Client().get(ADDRESS, {"before": before}).content.decode()
