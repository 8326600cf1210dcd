from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from allauth.account.models import EmailAddress
from django.db import connection

from store.accounts.actions import (
    EmailTaken,
    MayNotEnroll,
    become_provider,
    ensure_personal_organization,
    sign_up,
    update_profile,
)
from store.accounts.models import Membership, Organization, ProviderProfile, Role, User


@pytest.mark.django_db
def test_sign_up_makes_a_user_an_address_and_an_organization_of_which_they_are_owner() -> None:
    user = sign_up(email="Ada@Example.com", password="a long password", name="Ada", is_verified=True)
    assert user.check_password("a long password")
    assert EmailAddress.objects.get(user=user).verified
    assert user.personal_organization.slug == "ada"
    assert Membership.objects.get(user=user).role == Role.OWNER


@pytest.mark.django_db
def test_sign_up_refuses_an_address_that_differs_by_case_only(consumer: User) -> None:
    with pytest.raises(EmailTaken):
        sign_up(email="CONSUMER@example.com", password="a long password")
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_two_people_of_one_name_get_two_slugs() -> None:
    one = sign_up(email="ada@one.example", password="a long password")
    two = sign_up(email="ada@two.example", password="a long password")
    assert (one.personal_organization.slug, two.personal_organization.slug) == ("ada", "ada-2")


@pytest.mark.django_db
def test_an_organization_is_made_once(consumer: User) -> None:
    assert ensure_personal_organization(consumer) == consumer.personal_organization


@pytest.mark.django_db(transaction=True)
def test_many_who_ask_at_once_get_one_organization() -> None:
    user = User.objects.create_user("ada@example.com", "a long password")

    def ask(_turn: int) -> int:
        try:
            return ensure_personal_organization(user).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(ask, range(6)))) == 1
    assert Organization.objects.count() == 1


@pytest.mark.django_db
def test_an_owner_makes_the_organization_a_provider_and_changes_the_profile_later(consumer: User) -> None:
    organization = consumer.personal_organization
    become_provider(organization=organization, user=consumer, about="We print plays.")
    become_provider(organization=organization, user=consumer, about="And poems.")
    assert ProviderProfile.objects.get().about == "And poems."


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.BILLING, Role.DEVELOPER, Role.VIEWER, None])
def test_nobody_else_makes_it_a_provider(consumer: User, stranger: User, role: Role | None) -> None:
    if role:
        Membership.objects.create(organization=consumer.personal_organization, user=stranger, role=role)
    with pytest.raises(MayNotEnroll):
        become_provider(organization=consumer.personal_organization, user=stranger)
    assert not ProviderProfile.objects.exists()


@pytest.mark.django_db
def test_a_name_is_that_of_the_personal_organization_too(consumer: User) -> None:
    update_profile(user=consumer, name="王小明")
    consumer.personal_organization.refresh_from_db()
    assert consumer.personal_organization.name == "王小明"
    assert consumer.personal_organization.slug == "consumer"
