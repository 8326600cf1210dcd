"""allauth's hooks into the store."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from store.accounts.actions import ensure_personal_organization
from store.accounts.models import User


class AccountAdapter(DefaultAccountAdapter):
    """A new user comes with an organization, or not at all; links in mails lead to the store's public address."""

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit=commit)
            if commit:
                ensure_personal_organization(saved)
        return saved

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return _public(super().get_email_confirmation_url(request, emailconfirmation))

    def get_reset_password_from_key_url(self, key: str) -> str:
        return _public(super().get_reset_password_from_key_url(key))


def _public(url: str) -> str:
    """The path of a link under PUBLIC_URL: the Host header of whoever asked for the mail has no say in it."""
    return str(settings.PUBLIC_URL) + "/" + url.split("://", 1)[-1].partition("/")[2]
