"""Invitations by mail: a link that lets the owner of an e-mail address into an organization, once.

The link holds the signed id of its row, so nothing secret is stored; the row says whether it still opens. Who opens it must have
the address that was invited, confirmed: a forwarded mail lets nobody else in.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException
from typing import ClassVar, Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.members import MayNotManage, managed
from store.accounts.models import Invitation, Membership, Organization, Role, User
from store.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from store.outbox import send_after_commit

SALT: Final = "store.accounts.invitation"
MAIL_TASK: Final = "accounts.mail_invitation"
DAYS: Final = 14
MAX_A_DAY: Final = 100  # of one organization: it is no way to send mails to the world
SENDING_S: Final = 300  # a sender has this long before another takes the mail up
MAX_ATTEMPTS: Final = 12  # one more hour apart each time

logger = logging.getLogger(__name__)


class AlreadyMember(Conflict):
    """Who was invited belongs to the organization."""

    code: ClassVar[str] = "already_member"
    default_message: ClassVar[str] = "This person is a member already."


class OtherAddress(PermissionDenied):
    """The invitation is for an address that this user has not confirmed."""

    code: ClassVar[str] = "other_address"
    default_message: ClassVar[str] = "This invitation is for another e-mail address."


@transaction.atomic
def invite_member(*, organization: Organization, user: User, email: str, role: str) -> Invitation:
    """Invites by mail; inviting again takes the old link back, and sends a new one.

    Raises NotFound, MayNotManage, InvalidRequest naming the field, AlreadyMember, Conflict (too many in a day).
    """
    own = managed(organization, user)
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise InvalidRequest(_("This is no e-mail address."), param="email") from error
    if role not in Role.values:
        raise InvalidRequest(_("There is no such role."), param="role")
    if role == Role.OWNER and own != Role.OWNER:
        raise MayNotManage
    if Membership.objects.filter(organization=organization, user__in=_people(email)).exists():
        raise AlreadyMember(param="email")
    organization.invitations.filter(email=email, accepted_at=None, revoked_at=None).update(revoked_at=Now())
    today = organization.invitations.filter(created_at__gt=Now() - timedelta(days=1))
    if today.count() >= MAX_A_DAY:
        raise Conflict(_("%d people were invited in a day. Go on tomorrow.") % MAX_A_DAY)
    invitation = Invitation.objects.create(
        organization=organization, email=email, role=role, invited_by=user,
        expires_at=timezone.now() + timedelta(days=DAYS),
    )  # fmt: skip
    send_after_commit(MAIL_TASK, invitation.pk)
    return invitation


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, user: User) -> None:
    """Its link opens nothing any more. Doing it twice changes nothing. Raises NotFound, MayNotManage."""
    managed(invitation.organization, user)
    Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(revoked_at=Now())


@transaction.atomic
def accept_invitation(*, invitation: Invitation, user: User) -> Membership:
    """Lets the user in. Accepting again changes nothing; a role that they have already is never lowered by it.

    Raises NotFound (taken back, expired, or used by somebody else), OtherAddress.
    """
    Organization.objects.select_for_update(no_key=True).only("pk").get(pk=invitation.organization_id)
    now = Invitation.objects.select_for_update().get(pk=invitation.pk)
    mine = Membership.objects.filter(organization_id=now.organization_id, user=user).first()
    if now.accepted_by_id == user.pk and mine:
        return mine
    if not Invitation.objects.open().filter(pk=now.pk).exists():
        raise NotFound(_("This invitation was used, taken back, or has expired. Ask for a new one."))
    if not user_has(user, now.email):
        raise OtherAddress
    Invitation.objects.filter(pk=now.pk).update(accepted_at=Now(), accepted_by=user)
    return mine or Membership.objects.create(organization_id=now.organization_id, user=user, role=now.role)


def user_has(user: User, email: str) -> bool:
    """Whether the user has confirmed this address."""
    is_confirmed: bool = EmailAddress.objects.filter(user=user, email__iexact=email, verified=True).exists()
    return is_confirmed


def link_of(invitation: Invitation) -> str:
    """The address that is mailed."""
    return f"{settings.PUBLIC_URL}/invitations/{signing.Signer(salt=SALT).sign(str(invitation.pk))}"


def invitation_of(signed: str) -> Invitation:
    """What a link opens, whether it is still good or not. Raises NotFound."""
    try:
        pk = int(signing.Signer(salt=SALT).unsign(signed))
    except (signing.BadSignature, ValueError):
        pk = 0
    found = Invitation.objects.select_related("organization", "invited_by").filter(pk=pk).first()
    if found is None:
        raise NotFound(_("There is no such invitation. The link may have been cut short by a mail program."))
    return found


def send_invitation(invitation_id: int) -> None:
    """Sends the mail if it is due; a mail that fails is tried again later."""
    now = timezone.now()
    due = Invitation.objects.open().filter(pk=invitation_id, sent_at=None, due_at__lte=now, attempts__lt=MAX_ATTEMPTS)
    if due.update(due_at=now + timedelta(seconds=SENDING_S), attempts=F("attempts") + 1) != 1:
        return
    invitation = Invitation.objects.select_related("organization", "invited_by").get(pk=invitation_id)
    context = {"invitation": invitation, "url": link_of(invitation), "days": DAYS}
    subject, _newline, body = render_to_string("mail/invitation.txt", context).partition("\n")
    try:
        send_mail(subject.strip(), body.strip() + "\n", settings.DEFAULT_FROM_EMAIL, [invitation.email])
    except (OSError, SMTPException) as error:
        logger.warning("invitation %s is sent again later: %s", invitation_id, error)
        later = timezone.now() + timedelta(hours=invitation.attempts)
        Invitation.objects.filter(pk=invitation_id).update(due_at=later)
    else:
        Invitation.objects.filter(pk=invitation_id).update(sent_at=timezone.now())


def due_invitations() -> list[int]:
    """Ids of those whose mail is due: it was lost, or could not be sent."""
    due = Invitation.objects.open().filter(sent_at=None, due_at__lte=Now(), attempts__lt=MAX_ATTEMPTS)
    return list(due.order_by("due_at").values_list("pk", flat=True)[:100])


def _people(email: str) -> list[int]:
    """Users who have confirmed this address."""
    confirmed = EmailAddress.objects.filter(email__iexact=email, verified=True)
    return list(confirmed.values_list("user_id", flat=True))
