"""The pages of organizations and their members."""

from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.invitations import invite_member, link_of
from store.accounts.models import Membership, Organization, Role, User


@pytest.fixture
def team(seller: Client, provider: User) -> Organization:
    """Made on the page: the seller acts for it from there on."""
    made = seller.post("/settings/organizations/new", {"slug": "globe-players", "name": "The Globe"}, follow=True)
    assert "globe-players is yours" in made.content.decode()
    return Organization.objects.get(slug="globe-players")


def path_of(link: str) -> str:
    return "/" + link.split("/", 3)[3]


def test_a_name_that_is_taken_is_said_at_its_field(team: Organization, browser: Client) -> None:
    answer = browser.post("/settings/organizations/new", {"slug": "globe-players"})
    assert answer.status_code == 422
    assert "Another organization has this name" in answer.content.decode()


def test_somebody_is_invited_and_joins(team: Organization, seller: Client, browser: Client) -> None:
    answer = seller.post("/settings/members", {"email": "consumer@example.com", "role": "developer"}, follow=True)
    assert "consumer@example.com" in answer.content.decode()
    path = path_of(link_of(team.invitations.get()))
    assert "invites you to The Globe" in browser.get(path).content.decode()
    assert "Welcome to globe-players" in browser.post(path, follow=True).content.decode()
    assert browser.get(path, follow=True).redirect_chain == [("/settings/members", 302)]
    assert team.memberships.get(user__email="consumer@example.com").role == Role.DEVELOPER


def test_the_wrong_person_is_told_which_address_it_is_for(team: Organization, provider: User, browser: Client) -> None:
    made = invite_member(organization=team, user=provider, email="other@example.com", role=Role.VIEWER)
    page = browser.get(path_of(link_of(made))).content.decode()
    assert "other@example.com" in page
    assert "Accept" not in page
    assert browser.post(path_of(link_of(made))).status_code == 403


def test_roles_change_members_go_and_ownership_is_handed_over(
    team: Organization, seller: Client, consumer: User
) -> None:
    member = Membership.objects.create(organization=team, user=consumer, role=Role.DEVELOPER)
    at = f"/settings/members/{member.pk}"
    assert "role was changed" in seller.post(f"{at}/role", {"role": "billing"}, follow=True).content.decode()
    assert seller.post(f"{at}/role", {"role": "king"}).status_code == 400
    member.refresh_from_db()
    assert member.role == Role.BILLING
    assert "owns globe-players now" in seller.post(f"{at}/transfer", follow=True).content.decode()
    assert seller.post(f"{at}/remove").status_code == 403  # an admin does not remove an owner
    own = team.memberships.get(user__email="provider@example.com")
    assert "You have left" in seller.post(f"/settings/members/{own.pk}/remove", follow=True).content.decode()
    assert seller.get("/settings/members").status_code == 200  # of the personal organization


def test_an_invitation_is_taken_back(team: Organization, provider: User, seller: Client) -> None:
    made = invite_member(organization=team, user=provider, email="a@example.com", role=Role.VIEWER)
    assert "taken back" in seller.post(f"/settings/invitations/{made.pk}/revoke", follow=True).content.decode()
    assert not team.invitations.open().exists()


def test_a_member_of_another_organization_is_not_found(team: Organization, seller: Client, browser: Client) -> None:
    own = team.memberships.get()
    for what in ("role", "remove", "transfer"):
        assert browser.post(f"/settings/members/{own.pk}/{what}").status_code == 404


def test_a_viewer_sees_members_and_no_forms(team: Organization, browser: Client, consumer: User) -> None:
    Membership.objects.create(organization=team, user=consumer, role=Role.VIEWER)
    browser.post(f"/organizations/{team.pk}/switch")
    page = browser.get("/settings/members").content.decode()
    assert "provider@example.com" in page
    assert "Invite somebody" not in page
    assert "Set</button>" not in page
