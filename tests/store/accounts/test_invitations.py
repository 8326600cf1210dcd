"""Invitations: mailed, accepted once by whom they are for, taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.utils import timezone

from store.accounts.invitations import (
    MAX_A_DAY,
    AlreadyMember,
    OtherAddress,
    accept_invitation,
    due_invitations,
    invitation_of,
    invite_member,
    link_of,
    revoke_invitation,
    send_invitation,
)
from store.accounts.members import MayNotManage, create_organization
from store.accounts.models import Invitation, Membership, Organization, Role, User
from store.errors import Conflict, InvalidRequest, NotFound


@pytest.fixture
def team(provider: User) -> Organization:
    return create_organization(user=provider, slug="globe-players", name="The Globe")


@pytest.fixture
def invitation(team: Organization, provider: User) -> Invitation:
    return invite_member(organization=team, user=provider, email=" Consumer@Example.com", role=Role.DEVELOPER)


def test_it_is_mailed_once_with_a_link_that_opens_it(invitation: Invitation) -> None:
    assert due_invitations() == [invitation.pk]
    send_invitation(invitation.pk)
    send_invitation(invitation.pk)
    [sent] = mail.outbox
    assert sent.to == ["consumer@example.com"]
    assert sent.subject == "Join globe-players in the GPT Store"
    assert link_of(invitation) in sent.body
    assert invitation_of(link_of(invitation).rpartition("/")[2]) == invitation
    assert due_invitations() == []


def test_a_mail_that_fails_is_sent_later(invitation: Invitation, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_mail: object) -> None:
        raise OSError("no mail server")

    monkeypatch.setattr("store.accounts.invitations.send_mail", refuse)
    send_invitation(invitation.pk)
    invitation.refresh_from_db()
    assert invitation.sent_at is None
    assert invitation.due_at > timezone.now()
    monkeypatch.undo()
    Invitation.objects.update(due_at=timezone.now())
    send_invitation(invitation.pk)
    assert len(mail.outbox) == 1


def test_who_has_the_address_joins_in_the_role(invitation: Invitation, consumer: User) -> None:
    member = accept_invitation(invitation=invitation, user=consumer)
    assert (member.organization, member.role) == (invitation.organization, Role.DEVELOPER)
    assert accept_invitation(invitation=invitation, user=consumer) == member


def test_nobody_else_joins_by_a_forwarded_link(invitation: Invitation, stranger: User, consumer: User) -> None:
    with pytest.raises(OtherAddress):
        accept_invitation(invitation=invitation, user=stranger)
    EmailAddress.objects.filter(user=consumer).update(verified=False)
    with pytest.raises(OtherAddress):
        accept_invitation(invitation=invitation, user=consumer)
    assert not Membership.objects.filter(organization=invitation.organization, user__in=[stranger, consumer]).exists()


def test_what_was_taken_back_or_has_expired_opens_nothing(
    invitation: Invitation, provider: User, consumer: User, team: Organization
) -> None:
    revoke_invitation(invitation=invitation, user=provider)
    with pytest.raises(NotFound):
        accept_invitation(invitation=invitation, user=consumer)
    again = invite_member(organization=team, user=provider, email="consumer@example.com", role=Role.VIEWER)
    Invitation.objects.filter(pk=again.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(NotFound):
        accept_invitation(invitation=again, user=consumer)
    send_invitation(again.pk)
    assert mail.outbox == []


def test_inviting_again_takes_the_old_link_back(
    invitation: Invitation, team: Organization, provider: User, consumer: User
) -> None:
    newer = invite_member(organization=team, user=provider, email="consumer@example.com", role=Role.ADMIN)
    with pytest.raises(NotFound):
        accept_invitation(invitation=invitation, user=consumer)
    assert accept_invitation(invitation=newer, user=consumer).role == Role.ADMIN


def test_an_invitation_lowers_nobody(invitation: Invitation, consumer: User, team: Organization) -> None:
    Membership.objects.create(organization=team, user=consumer, role=Role.ADMIN)
    assert accept_invitation(invitation=invitation, user=consumer).role == Role.ADMIN


def test_a_member_is_not_invited_again(team: Organization, provider: User) -> None:
    with pytest.raises(AlreadyMember):
        invite_member(organization=team, user=provider, email="provider@example.com", role=Role.VIEWER)


@pytest.mark.parametrize(
    ("email", "role", "field"), [("no address", "viewer", "email"), ("a@example.com", "king", "role")]
)
def test_what_cannot_be_is_refused_by_field(
    team: Organization, provider: User, email: str, role: str, field: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        invite_member(organization=team, user=provider, email=email, role=role)
    assert raised.value.param == field


def test_an_admin_makes_no_owners_and_a_developer_invites_nobody(
    team: Organization, consumer: User, stranger: User
) -> None:
    Membership.objects.create(organization=team, user=consumer, role=Role.ADMIN)
    with pytest.raises(MayNotManage):
        invite_member(organization=team, user=consumer, email="a@example.com", role=Role.OWNER)
    Membership.objects.create(organization=team, user=stranger, role=Role.DEVELOPER)
    with pytest.raises(MayNotManage):
        invite_member(organization=team, user=stranger, email="a@example.com", role=Role.VIEWER)


def test_it_is_no_way_to_send_mails_to_the_world(team: Organization, provider: User) -> None:
    until = timezone.now() + timedelta(days=1)
    Invitation.objects.bulk_create(
        Invitation(organization=team, email=f"{n}@example.com", role=Role.VIEWER, expires_at=until)
        for n in range(MAX_A_DAY)
    )
    with pytest.raises(Conflict):
        invite_member(organization=team, user=provider, email="one-more@example.com", role=Role.VIEWER)


@pytest.mark.parametrize("signed", ["", "1", "1:x", "x" * 500, "1:" + "A" * 43])
def test_a_link_that_was_made_up_opens_nothing(db: None, signed: str) -> None:
    with pytest.raises(NotFound):
        invitation_of(signed)
