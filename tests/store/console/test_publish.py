from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from store.accounts.models import Membership, Role, User
from store.catalog.actions.repositories import files_at
from store.catalog.models import Listing, Price, SubmissionStatus, Weights
from store.console.card_edit import open_card
from store.console.wizard import Step, head_of, way_of
from tests.conftest import DOLLAR
from tests.store.console.conftest import Draft

DETAILS = {"slug": "sonnets", "title": "", "licence": "mit", "audience": "public", "weights": "closed"}


@pytest.mark.django_db
def test_a_model_begins_with_a_name_and_a_card_that_says_its_licence(seller: Client) -> None:
    response = seller.post("/publish", {**DETAILS, "title": "Sonnets of the sea", "weights": "gated"})
    assert response.status_code == 302
    assert response["Location"] == "/publish/provider/sonnets/files"
    listing = Listing.objects.get(slug="sonnets")
    assert (listing.licence, listing.title, listing.is_private) == ("mit", "Sonnets of the sea", False)
    assert listing.weights == Weights.GATED
    assert open_card(listing).text == "---\nlicense: mit\n---\n\n# Sonnets of the sea\n"
    assert "/publish/provider/sonnets" in seller.get("/publish").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slug": ""}, "required"),
        ({"slug": "Ünïcode 模型"}, "small letters"),
        ({"slug": "a/b"}, "small letters"),
        ({"slug": "x" * 97}, "96"),
        ({"licence": ""}, "required"),
        ({"licence": "apache"}, "Did you mean"),
        ({"licence": "<b>"}, "SPDX"),
        ({"audience": "aliens"}, "valid choice"),
        ({"weights": ""}, "required"),
    ],
)
def test_a_name_or_licence_that_makes_no_sense_begins_nothing(seller: Client, wrong: dict[str, str], said: str) -> None:
    response = seller.post("/publish", DETAILS | wrong)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert not Listing.objects.exists()


@pytest.mark.django_db
def test_a_name_that_is_taken_is_said_so(seller: Client) -> None:
    seller.post("/publish", DETAILS)
    response = seller.post("/publish", DETAILS)
    assert response.status_code == 422
    assert "already" in response.content.decode()


@pytest.mark.django_db
def test_who_is_no_provider_enrolls_on_the_way(browser: Client, consumer: User) -> None:
    page = browser.get("/publish").content.decode()
    assert "First, make consumer a provider" in page
    assert 'name="slug"' not in page
    assert browser.post("/publish", DETAILS).status_code == 200
    assert not Listing.objects.exists()
    assert browser.post("/publish/enroll", {"about": "Poets."})["Location"] == "/publish"
    assert browser.post("/publish", DETAILS).status_code == 302
    assert consumer.personal_organization.provider.about == "Poets."


@pytest.mark.django_db
def test_a_viewer_looks_and_publishes_nothing(stranger: User, provider: User, draft: Draft) -> None:
    Membership.objects.create(organization=provider.personal_organization, user=stranger, role=Role.VIEWER)
    client = Client()
    client.force_login(stranger)
    client.post(f"/organizations/{provider.personal_organization.pk}/switch")
    assert "Your role cannot publish" in client.get("/publish").content.decode()
    page = client.get(f"{draft.at}/files").content.decode()
    assert "You can look" in page
    assert "data-uploader" not in page
    for address in ("details", "submit", "publish", "cancel", "price", "import"):
        assert client.post(f"{draft.at}/{address}", DETAILS).status_code == 403, address
    assert client.post("/publish", DETAILS).status_code in (403, 404)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "page",
    ["", "/details", "/files", "/checks", "/numbers", "/price", "/review", "/done", "/submit", "/publish", "/cancel"],
)
def test_to_a_stranger_a_draft_is_a_404(stranger: User, draft: Draft, page: str) -> None:
    client = Client()
    assert client.get(draft.at + page).status_code in (302, 405)  # to the sign-in
    client.force_login(stranger)
    assert client.post(draft.at + page).status_code == 404
    assert client.post(f"/publish/provider/nothing{page}").status_code == 404


@pytest.mark.django_db
def test_the_way_is_read_from_the_rows_and_resumes_where_it_was(seller: Client, draft: Draft) -> None:
    assert seller.get(draft.at)["Location"] == f"{draft.at}/files"
    assert seller.get(f"{draft.at}/checks")["Location"] == f"{draft.at}/files"
    assert seller.get(f"{draft.at}/review")["Location"] == f"{draft.at}/files"
    draft.commit("model.safetensors", "config.json")
    assert way_of(draft.listing).current == Step.CHECKS
    assert seller.get(draft.at)["Location"] == f"{draft.at}/checks"
    assert seller.post(f"{draft.at}/submit")["Location"] == f"{draft.at}/checks"
    assert "Checking the files" in seller.get(f"{draft.at}/checks").content.decode()
    draft.come_to(
        SubmissionStatus.REJECTED, problems=[draft.problem("pytorch_model.bin", "It is a pickle.\npython -m x")]
    )
    page = seller.get(f"{draft.at}/checks").content.decode()
    assert "1 thing to mend" in page
    assert "It is a pickle." in page
    assert "python -m x</code>" in page
    assert "data-uploader" in page
    draft.come_to(SubmissionStatus.MEASURING)
    assert seller.get(draft.at)["Location"] == f"{draft.at}/numbers"
    draft.come_to(SubmissionStatus.UNFIT, problems=[draft.problem("", "It never ends.")])
    assert "It never ends." in seller.get(f"{draft.at}/numbers").content.decode()


@pytest.mark.django_db
def test_a_page_that_waits_is_shown_anew_when_the_waiting_is_over(seller: Client, draft: Draft) -> None:
    draft.commit("model.safetensors")
    seller.post(f"{draft.at}/submit")
    asked = {"HX-Request": "true"}
    waiting = seller.get(f"{draft.at}/checks", headers=asked)
    assert "every 1s" in waiting.content.decode()
    assert "<html" not in waiting.content.decode()
    draft.come_to(SubmissionStatus.REJECTED, problems=[draft.problem("", "No.")])
    assert seller.get(f"{draft.at}/checks", headers=asked)["HX-Refresh"] == "true"
    draft.come_to(SubmissionStatus.MEASURING)
    assert seller.get(f"{draft.at}/checks", headers=asked)["HX-Refresh"] == "true"


@pytest.mark.django_db
def test_new_files_begin_the_checks_anew(seller: Client, draft: Draft) -> None:
    draft.commit("model.safetensors")
    seller.post(f"{draft.at}/submit")
    draft.commit("config.json")
    assert way_of(draft.listing).current == Step.CHECKS
    assert "not checked yet" in seller.get(f"{draft.at}/checks").content.decode()


@pytest.mark.django_db
def test_what_is_on_its_way_is_taken_back(seller: Client, draft: Draft) -> None:
    draft.commit("model.safetensors")
    seller.post(f"{draft.at}/submit")
    assert seller.post(f"{draft.at}/cancel")["Location"] == f"{draft.at}/files"
    assert "not checked yet" in seller.get(f"{draft.at}/checks").content.decode()
    assert seller.post(f"{draft.at}/cancel").status_code == 302  # twice is once


@pytest.mark.django_db
def test_a_price_is_exact_to_the_ninth_digit(seller: Client, draft: Draft) -> None:
    form = {"input": "0.123456789", "output": "1,000.50", "cached_input": "", "request": "0.0001", "free": "5",
            "training": "3", "derivatives_allowed": "on", "royalty": "2.5"}  # fmt: skip
    assert seller.post(f"{draft.at}/price", form).status_code == 302
    price = Price.objects.get()
    assert (price.input_nano, price.output_nano, price.cached_input_nano) == (
        123_456_789,
        1_000_500_000_000,
        123_456_789,
    )
    assert (price.request_nano, price.free_nano, price.training_nano) == (100_000, 5 * DOLLAR, 3 * DOLLAR)
    assert (price.derivatives_allowed, price.royalty_ppm) == (True, 25_000)
    page = seller.get(f"{draft.at}/price").content.decode()
    assert 'value="0.123456789"' in page
    assert 'value="2.5"' in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        {"input": ""},
        {"input": "-1"},
        {"input": "1e18"},
        {"output": "0.0000000001"},
        {"output": "1000001"},
        {"cached_input": "0.6"},
        {"royalty": "101"},
        {"royalty": "-2"},
        {"royalty": "2.50001"},
        {"free": "NaN"},
    ],
)
def test_a_price_that_makes_no_sense_is_said_at_its_field(seller: Client, draft: Draft, wrong: dict[str, str]) -> None:
    response = seller.post(f"{draft.at}/price", {"input": "0.5", "output": "1.5", **wrong})
    assert response.status_code == 422
    assert "field-error" in response.content.decode()
    assert not Price.objects.exists()


@pytest.mark.django_db
def test_what_one_earns_is_shown_while_one_types(seller: Client, draft: Draft, settings: Settings) -> None:
    settings.COMMISSION_PPM = 150_000
    address = "/provider/verse/manage/prices/earned"
    page = seller.post(address, {"input": "10", "output": "20", "cached_input": "10"}).content.decode()
    # 1000 calls of 500 tokens in and 200 out: 1000 * (500 * 10 + 200 * 20) / 1e6 = 9 dollars, of which 85 % stay.
    assert "$7.65" in page
    assert "15%" in page
    assert "Write a price" in seller.post(address, {"input": "x", "output": "20"}).content.decode()


@pytest.mark.django_db
def test_nothing_is_published_before_it_is_ready(seller: Client, draft: Draft) -> None:
    assert seller.post(f"{draft.at}/publish").status_code == 404
    draft.commit("model.safetensors")
    seller.post(f"{draft.at}/submit")
    assert seller.post(f"{draft.at}/publish").status_code == 302
    draft.listing.refresh_from_db()
    assert draft.listing.status == "draft"


@pytest.mark.django_db
def test_details_change_and_the_name_stays(seller: Client, draft: Draft) -> None:
    form = {**DETAILS, "slug": "other", "title": "Better verse", "audience": "private", "weights": "open"}
    assert seller.post(f"{draft.at}/details", form).status_code == 302
    draft.listing.refresh_from_db()
    assert (draft.listing.slug, draft.listing.title) == ("verse", "Better verse")
    assert (draft.listing.is_private, draft.listing.weights) == (True, Weights.OPEN)


@pytest.mark.django_db
def test_names_of_three_hundred_characters_and_of_every_script_are_shown(seller: Client, draft: Draft) -> None:
    Listing.objects.update(title="诗" * 150, summary="שלום " * 60)
    assert "诗" * 150 in seller.get(f"{draft.at}/details").content.decode()
    head = head_of(draft.listing)
    assert head
    assert [file.path for file in files_at(head)] == ["README.md"]
