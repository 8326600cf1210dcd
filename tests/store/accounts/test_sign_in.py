"""The pages of allauth in our clothes."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from store.accounts.models import Organization, User
from tests.conftest import PASSWORD


@pytest.fixture(autouse=True)
def no_rate_limits_of_other_tests() -> None:
    cache.clear()


def sign_up(client: Client, email: str = "ada@example.com") -> None:
    form = {"email": email, "password1": "a rather long phrase", "password2": "a rather long phrase"}
    response = client.post(reverse("account_signup"), form)
    assert response.status_code == 302


def link_in_mail() -> str:
    found = re.search(r"https?://\S+", str(mail.outbox[-1].body))
    assert found
    return found.group()


@pytest.mark.django_db
def test_a_visitor_signs_up_verifies_the_address_and_is_in(client: Client, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://store.example"
    sign_up(client)
    assert not get_user(client).is_authenticated  # type: ignore[arg-type]
    link = link_in_mail()
    assert link.startswith("https://store.example/accounts/confirm-email/")
    client.post(link.removeprefix("https://store.example"))
    assert get_user(client).email == "ada@example.com"  # type: ignore[arg-type, union-attr]
    assert Organization.objects.get(slug="ada").personal_of == User.objects.get()


@pytest.mark.django_db
def test_without_the_organization_there_is_no_user(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_user: User) -> Organization:
        raise ConnectionError

    monkeypatch.setattr("store.accounts.adapter.ensure_personal_organization", fail)
    with pytest.raises(ConnectionError):
        sign_up(client)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_nobody_learns_whether_an_address_has_an_account(client: Client, consumer: User) -> None:
    sign_up(client, "consumer@example.com")
    assert User.objects.count() == 1
    assert "already" in str(mail.outbox[-1].body)


@pytest.mark.django_db
def test_an_unverified_address_does_not_let_one_in(client: Client) -> None:
    sign_up(client)
    other = Client()
    response = other.post(reverse("account_login"), {"login": "ada@example.com", "password": "a rather long phrase"})
    assert response.url == reverse("account_email_verification_sent")  # type: ignore[attr-defined]
    assert not get_user(other).is_authenticated  # type: ignore[arg-type]


@pytest.mark.django_db
def test_a_forgotten_password_is_set_by_a_mail_that_names_our_own_address(
    client: Client, consumer: User, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://store.example"
    client.post(reverse("account_reset_password"), {"email": consumer.email})
    link = link_in_mail()
    assert link.startswith("https://store.example/accounts/password/reset/key/")
    page = client.get(link.removeprefix("https://store.example"), follow=True)
    form = {"password1": "another long phrase", "password2": "another long phrase"}
    client.post(page.redirect_chain[-1][0], form)
    consumer.refresh_from_db()
    assert consumer.check_password("another long phrase")


@pytest.mark.django_db
def test_guessing_a_password_is_slowed_down(client: Client, consumer: User) -> None:
    for _turn in range(6):
        client.post(reverse("account_login"), {"login": consumer.email, "password": "a wrong guess"})
    response = client.post(reverse("account_login"), {"login": consumer.email, "password": PASSWORD})
    assert not get_user(client).is_authenticated  # type: ignore[arg-type]
    assert "Too many failed login attempts" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["account_email", "account_change_password", "mfa_index", "usersessions_list"])
def test_account_pages_are_in_our_design(client: Client, consumer: User, name: str) -> None:
    client.force_login(consumer)
    page = client.get(reverse(name), follow=True).content.decode()
    assert 'class="site-header"' in page
    assert "<form" in page or "panel" in page


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["account_login", "account_signup", "account_reset_password"])
def test_entrance_pages_are_in_our_design(client: Client, name: str) -> None:
    page = client.get(reverse(name)).content.decode()
    assert 'class="entrance' in page
    assert "btn btn-primary" in page
