"""Organizations are made, shared, left and handed over."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from store.accounts.members import (
    LastOwner,
    MayNotManage,
    NameTaken,
    change_role,
    create_organization,
    remove_member,
    rename_organization,
    transfer_ownership,
)
from store.accounts.models import Membership, Organization, Role, User
from store.errors import Conflict, InvalidRequest, NotFound


@pytest.fixture
def team(provider: User, consumer: User) -> Organization:
    """The provider's, with the consumer as a developer."""
    made = create_organization(user=provider, slug="Globe-Players", name="The Globe")
    Membership.objects.create(organization=made, user=consumer, role=Role.DEVELOPER)
    return made


def roles(organization: Organization) -> dict[str, str]:
    return {row.user.email.partition("@")[0]: row.role for row in organization.memberships.select_related("user")}


def test_who_makes_one_owns_it(team: Organization) -> None:
    assert (team.slug, team.name, team.personal_of) == ("globe-players", "The Globe", None)
    assert roles(team) == {"provider": "owner", "consumer": "developer"}


@pytest.mark.parametrize(
    "slug", ["", "a", "x" * 41, "two words", "-dash", "dash-", "models", "nul\0", "../up", "ünicode"]
)
def test_a_name_that_cannot_be_an_address_is_refused(consumer: User, slug: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        create_organization(user=consumer, slug=slug)
    assert raised.value.param == "slug"


def test_a_name_is_given_once(team: Organization, stranger: User) -> None:
    with pytest.raises(NameTaken):
        create_organization(user=stranger, slug="globe-players")


def test_an_owner_changes_roles_and_an_admin_does_below_owner(
    team: Organization, provider: User, consumer: User, stranger: User
) -> None:
    change_role(organization=team, user=provider, member=consumer, role=Role.ADMIN)
    Membership.objects.create(organization=team, user=stranger, role=Role.VIEWER)
    change_role(organization=team, user=consumer, member=stranger, role=Role.BILLING)
    assert roles(team)["stranger"] == "billing"
    with pytest.raises(MayNotManage):
        change_role(organization=team, user=consumer, member=stranger, role=Role.OWNER)
    with pytest.raises(MayNotManage):
        change_role(organization=team, user=consumer, member=provider, role=Role.VIEWER)
    with pytest.raises(MayNotManage):
        remove_member(organization=team, user=consumer, member=provider)


def test_a_role_that_there_is_not_changes_nothing(team: Organization, provider: User, consumer: User) -> None:
    with pytest.raises(InvalidRequest):
        change_role(organization=team, user=provider, member=consumer, role="king")
    assert roles(team)["consumer"] == "developer"


def test_a_developer_changes_nobody_and_may_leave(team: Organization, provider: User, consumer: User) -> None:
    with pytest.raises(MayNotManage):
        change_role(organization=team, user=consumer, member=consumer, role=Role.OWNER)
    with pytest.raises(MayNotManage):
        rename_organization(organization=team, user=consumer, name="Mine")
    remove_member(organization=team, user=consumer, member=consumer)
    assert roles(team) == {"provider": "owner"}


def test_a_stranger_finds_no_such_organization(team: Organization, stranger: User, consumer: User) -> None:
    with pytest.raises(NotFound):
        remove_member(organization=team, user=stranger, member=consumer)
    with pytest.raises(NotFound):
        transfer_ownership(organization=team, user=stranger, member=stranger)


def test_the_last_owner_stays(team: Organization, provider: User) -> None:
    with pytest.raises(LastOwner):
        remove_member(organization=team, user=provider, member=provider)
    with pytest.raises(LastOwner):
        change_role(organization=team, user=provider, member=provider, role=Role.ADMIN)


def test_a_personal_organization_belongs_to_its_person(provider: User, consumer: User) -> None:
    own = provider.personal_organization
    Membership.objects.create(organization=own, user=consumer, role=Role.OWNER)
    with pytest.raises(LastOwner):
        remove_member(organization=own, user=consumer, member=provider)
    with pytest.raises(Conflict):
        transfer_ownership(organization=own, user=provider, member=consumer)


def test_who_hands_over_stays_as_an_admin(team: Organization, provider: User, consumer: User) -> None:
    transfer_ownership(organization=team, user=provider, member=consumer)
    assert roles(team) == {"provider": "admin", "consumer": "owner"}
    with pytest.raises(MayNotManage):
        transfer_ownership(organization=team, user=provider, member=provider)


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_once_one_stays(team: Organization, provider: User, consumer: User) -> None:
    change_role(organization=team, user=provider, member=consumer, role=Role.OWNER)
    errors: list[Exception] = []
    start = threading.Barrier(2)

    def leave(user: User) -> None:
        start.wait()
        try:
            remove_member(organization=team, user=user, member=user)
        except LastOwner as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=leave, args=(user,)) for user in (provider, consumer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 1
    assert list(roles(team).values()) == ["owner"]
