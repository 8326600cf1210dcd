"""Invitations go out by mail."""

from __future__ import annotations

from celery import shared_task

from store.accounts.invitations import MAIL_TASK, due_invitations, send_invitation


@shared_task(name=MAIL_TASK)
def mail_invitation(invitation_id: int) -> None:
    """One mail, if it is due."""
    send_invitation(invitation_id)


@shared_task(name="accounts.mail_due_invitations")
def mail_due_invitations() -> None:
    """Mails that were lost on the way, or could not be sent."""
    for invitation_id in due_invitations():
        send_invitation(invitation_id)
