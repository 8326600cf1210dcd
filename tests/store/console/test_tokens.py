from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from store.accounts.models import AccessToken, User
from store.accounts.tokens import issue_token, user_of_token

FORM = {"name": "laptop", "scopes": ["write"], "expires": "30"}


@pytest.mark.django_db
def test_a_token_is_made_and_its_secret_shown_once(browser: Client, consumer: User) -> None:
    response = browser.post("/settings/tokens", FORM)
    page = response.content.decode()
    secret = page.split('id="secret"', 1)[1].split(">", 1)[1].split("<", 1)[0]
    assert user_of_token(secret, "write") == consumer
    assert user_of_token(secret, "keys") is None
    assert f"export HF_TOKEN={secret}" in page
    assert "HF_HUB_DISABLE_XET=1" in page
    assert "no-store" in response["Cache-Control"]
    token = AccessToken.objects.get()
    assert token.expires_at
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=31)
    listed = browser.get("/settings/tokens").content.decode()
    assert "laptop" in listed
    assert secret not in listed


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "x" * 101}, {"scopes": []}, {"scopes": ["root"]}, {"expires": "-1"}, {"expires": "x"}],
)
def test_a_form_that_makes_no_sense_makes_no_token(browser: Client, wrong: dict[str, Any]) -> None:
    response = browser.post("/settings/tokens", {**FORM, **wrong})
    assert response.status_code == 422
    assert "field-error" in response.content.decode()
    assert not AccessToken.objects.exists()


@pytest.mark.django_db
def test_a_revoked_token_is_dead_and_gone_from_the_page(browser: Client, consumer: User) -> None:
    issued = issue_token(user=consumer, name="old", scopes=["read"])
    address = f"/settings/tokens/{issued.token.pk}/revoke"
    assert browser.get(address).status_code == 405
    assert browser.post(address).status_code == 302
    assert browser.post(address).status_code == 302  # twice is once
    assert user_of_token(issued.secret, "read") is None
    assert ">old<" not in browser.get("/settings/tokens").content.decode()


@pytest.mark.django_db
def test_another_persons_token_is_a_404(browser: Client, stranger: User) -> None:
    issued = issue_token(user=stranger, name="theirs", scopes=["read"])
    assert browser.post(f"/settings/tokens/{issued.token.pk}/revoke").status_code == 404
    assert "theirs" not in browser.get("/settings/tokens").content.decode()
    assert user_of_token(issued.secret, "read") == stranger
    assert Client().get("/settings/tokens").status_code == 302


@pytest.mark.django_db
def test_the_page_of_the_uploads_asks_for_a_token_that_writes(browser: Client) -> None:
    page = browser.get("/settings/tokens?scope=write&scope=nonsense").content.decode()
    assert 'value="write" id="id_scopes_1" checked' in page
