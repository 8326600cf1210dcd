"""Settings, the provider's page, and what holds for every page of the console."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from store.accounts.models import Membership, ProviderProfile, Role, User
from store.catalog.models import Listing
from store.ledger.actions import wallet_of
from store.ledger.models import WalletKind
from tests.store.console.conftest import MakeRun

CONSOLE = ("/keys", "/keys/new", "/keys/1", "/usage", "/wallet", "/provider", "/settings")


@pytest.mark.django_db
@pytest.mark.parametrize("path", CONSOLE)
def test_a_visitor_is_sent_to_sign_in(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"] == f"{reverse('account_login')}?next={path}"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/wallet/top-up", "/keys/1/revoke", "/keys/1/rotate", "/organizations/1/switch"])
def test_a_form_without_its_token_is_refused(consumer: User, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(consumer)
    assert client.post(path).status_code == 403


@pytest.mark.django_db
def test_a_user_of_the_command_line_gets_an_organization_by_looking(client: Client) -> None:
    user = User.objects.create_superuser("boss@example.com", "a long password")
    client.force_login(user)
    assert client.get("/settings").status_code == 200
    assert user.personal_organization.slug == "boss"


@pytest.mark.django_db
def test_a_consumer_becomes_a_provider(browser: Client, consumer: User) -> None:
    assert "Make consumer a provider" in browser.get("/provider").content.decode()
    page = browser.post("/provider", {"about": "Plays.", "website": "https://a.example"}, follow=True).content.decode()
    assert ProviderProfile.objects.get().organization == consumer.personal_organization
    assert "No model yet" in page


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"website": "javascript:alert(1)"}, {"about": "x" * 2001}])
def test_a_profile_that_makes_no_sense_enrolls_nobody(browser: Client, wrong: dict[str, str]) -> None:
    assert browser.post("/provider", {"about": "", "website": ""} | wrong).status_code == 422
    assert not ProviderProfile.objects.exists()


@pytest.mark.django_db
def test_a_viewer_does_not_enroll_the_organization(stranger: User, consumer: User) -> None:
    organization = consumer.personal_organization
    Membership.objects.create(organization=organization, user=stranger, role=Role.VIEWER)
    client = Client()
    client.force_login(stranger)
    client.post(f"/organizations/{organization.pk}/switch")
    assert client.post("/provider", {"about": "", "website": ""}).status_code == 403


@pytest.mark.django_db
def test_a_provider_sees_what_was_earned(seller: Client, provider: User, listing: Listing, make_run: MakeRun) -> None:
    make_run()
    earned = wallet_of(provider.personal_organization.pk, WalletKind.EARNINGS).posted_nano
    assert earned == 25_500  # 85 % of 30,000 nano-dollars
    page = seller.get("/provider").content.decode()
    assert '$0.00<wbr><span class="money-tail">00255</span>' in page
    assert 'href="/provider/bard/manage"' in page


@pytest.mark.django_db
def test_a_name_is_changed(browser: Client, consumer: User) -> None:
    assert browser.post("/settings", {"name": "Ada 王"}).status_code == 302
    consumer.refresh_from_db()
    assert consumer.name == "Ada 王"
    assert browser.post("/settings", {"name": "x" * 200}).status_code == 200


@pytest.mark.django_db
def test_one_acts_for_organizations_of_ones_own_only(browser: Client, consumer: User, stranger: User) -> None:
    other = stranger.personal_organization
    assert browser.post(f"/organizations/{other.pk}/switch").status_code == 404
    membership = Membership.objects.create(organization=other, user=consumer, role=Role.VIEWER)
    assert browser.post(f"/organizations/{other.pk}/switch").status_code == 302
    assert ">stranger<" in browser.get("/keys").content.decode()
    membership.delete()
    assert ">stranger<" not in browser.get("/keys").content.decode()


@pytest.mark.django_db
def test_pages_of_the_console_are_kept_by_no_cache(browser: Client) -> None:
    assert "no-store" in browser.get("/wallet")["Cache-Control"]
    assert "private" in browser.get("/wallet")["Cache-Control"]
