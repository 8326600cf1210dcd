"""What every test of the store can ask for: a small cast, and a database that may be emptied.

The cast are users, each with an organization of their own: ``consumer.personal_organization``. All have the password PASSWORD and a
verified e-mail address.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.db import connection
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from store.accounts.models import Membership, Organization, ProviderProfile, Role, User
from store.billing.actions import top_up_test
from store.catalog.models import Listing, ListingStatus, Price, Release
from store.keys.actions import IssuedKey, issue_key
from store.ledger.actions import wallet_of
from store.ledger.models import Wallet, WalletKind
from tests.servers import Servers
from tests.stack import migrated, shop, stack

__all__ = ["migrated", "shop", "stack"]  # fixtures of whole stores: here once, so that a session has one of each

PASSWORD = "correct horse battery staple"
DOLLAR = 10**9  # nano-dollars
LONG = ("tests/test_bringup.py", "tests/stories/", "tests/faults/", "tests/workers/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules of a few long tests come first: who begins one last keeps all others waiting."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, migrated: str) -> None:
    """Every database of a session is a copy of one: to migrate takes longer than most modules of tests."""
    connection.settings_dict["TEST"]["TEMPLATE"] = migrated


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, servers: Servers
) -> Generator[None, None, None]:
    """Lets the suite empty its own tables between tests that commit: the triggers named *_no_truncate go."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%_no_truncate'")
        for name, table in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name} ON {table}")
    yield
    with (
        django_db_blocker.unblock(),
        connection.cursor() as cursor,
    ):  # threads that live as long as the process keep theirs open
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def make_user(name: str, *, role: Role = Role.OWNER, **fields: bool) -> User:
    """A user with a verified address, a password, and an organization of the same name."""
    user = User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title(), **fields)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    organization = Organization.objects.create(slug=name, name=name.title(), personal_of=user)
    Membership.objects.create(organization=organization, user=user, role=role)
    return user


def make_listing(
    organization: Organization, slug: str = "bard", *, input_nano: int = 100_000_000, output_nano: int = 400_000_000
) -> Listing:
    """A published listing with one release (of no files) and a price; prices are nano-dollars per million tokens."""
    listing = Listing.objects.create(organization=organization, slug=slug, title=slug.title(), licence="apache-2.0")
    release = Release.objects.create(
        listing=listing,
        number=1,
        digest=f"sha256:{listing.id:064x}",
        size=1,
        architecture="GPT2LMHeadModel",
        parameters=1,
        context_length=512,
        vocab_size=256,
    )
    Price.objects.create(
        listing=listing, input_nano=input_nano, cached_input_nano=input_nano // 2, output_nano=output_nano
    )
    Listing.objects.filter(pk=listing.pk).update(current_release=release, status=ListingStatus.PUBLISHED)
    listing.refresh_from_db()
    return listing


@pytest.fixture
def provider(db: None) -> User:
    """Sells models."""
    user = make_user("provider")
    ProviderProfile.objects.create(organization=user.personal_organization)
    return user


@pytest.fixture
def consumer(db: None) -> User:
    """Buys tokens. Has no credit until ``wallet`` is asked for."""
    return make_user("consumer")


@pytest.fixture
def stranger(db: None) -> User:
    """Has nothing to do with the others."""
    return make_user("stranger")


@pytest.fixture
def moderator(db: None) -> User:
    """Judges listings."""
    return make_user("moderator", is_moderator=True)


@pytest.fixture
def admin(db: None) -> User:
    """Runs the store."""
    return make_user("admin", is_staff=True, is_superuser=True)


@pytest.fixture
def staff(client: Client, admin: User) -> Client:
    """A browser in which the admin has signed in, and has a second factor."""
    TOTP.activate(admin, generate_totp_secret())
    client.force_login(admin)
    return client


@pytest.fixture
def listing(provider: User) -> Listing:
    """``provider/bard``: $0.10 a million tokens in, $0.40 out."""
    return make_listing(provider.personal_organization)


@pytest.fixture
def wallet(consumer: User) -> Wallet:
    """The consumer's credit: ten dollars."""
    top_up_test(organization=consumer.personal_organization, user=consumer, amount_nano=10 * DOLLAR)
    return wallet_of(consumer.personal_organization.id, WalletKind.CREDIT)


@pytest.fixture
def issued_key(consumer: User, listing: Listing, wallet: Wallet) -> IssuedKey:
    """The consumer's key for ``listing``, without limits, on a funded wallet; ``issued_key.secret`` is what a client shows."""
    return issue_key(organization=consumer.personal_organization, user=consumer, name="test", listings=[listing])
