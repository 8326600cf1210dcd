"""People who run the store, each with what their group may do; after every test here the books are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client

from store.accounts.models import User
from store.backoffice.groups import make_groups
from store.ledger.audit import audit
from tests.conftest import make_user
from tests.sandboxed import till

__all__ = ["till"]

SignedIn = Callable[[User], Client]


@pytest.fixture
def groups(db: None) -> None:
    """As a migration makes them: a test that empties the database takes them away."""
    make_groups(apps)


@pytest.fixture
def operator(groups: None) -> User:
    """Asks for things."""
    return staff_member("operator", "Billing operator")


@pytest.fixture
def approver(groups: None) -> User:
    """Decides what others ask for."""
    return staff_member("approver", "Billing approver")


@pytest.fixture
def accountant(groups: None) -> User:
    """Reads."""
    return staff_member("accountant", "Accountant")


def staff_member(name: str, group: str) -> User:
    user = make_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return user


@pytest.fixture
def signed_in() -> SignedIn:
    """A browser of one of the staff, with a second factor."""

    def browser(user: User) -> Client:
        TOTP.activate(user, generate_totp_secret())
        client = Client()
        client.force_login(user)
        return client

    return browser


@pytest.fixture
def proven(db: None) -> Iterator[None]:
    """After the test the books are right."""
    yield
    assert audit() == []
