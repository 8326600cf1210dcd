"""The owners are told by mail when a webhook is disabled or an event could not be delivered."""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException
from typing import Final

from django.conf import settings
from django.core.mail import send_mail
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from store.accounts.models import Role, User
from store.outbox import send_after_commit
from store.webhooks.models import Notice, WebhookEndpoint

NOTICES_TASK: Final = "webhooks.notices"
BATCH: Final = 50
SENDING: Final = timedelta(minutes=5)  # a sender has this long before another takes the mail up
AGAIN: Final = timedelta(hours=1)  # where the mail server is away
SELDOM: Final = timedelta(days=1)  # between two mails about events that one endpoint does not take

logger = logging.getLogger(__name__)


def tell_owners(endpoint: WebhookEndpoint, notice: Notice) -> None:
    """Puts a mail into the outbox. That it is disabled takes the place of what waits; what is undelivered is told SELDOM."""
    if notice == Notice.UNDELIVERED:
        told = endpoint.undelivered_told_at
        if endpoint.notice_due_at or (told and told > timezone.now() - SELDOM):
            return
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(undelivered_told_at=Now())
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(notice=notice, notice_due_at=Now())
    send_after_commit(NOTICES_TASK)


def send_notices() -> int:
    """Sends the mails that are due, BATCH at most. Returns how many were tried."""
    due = WebhookEndpoint.objects.filter(notice_due_at__lte=Now()).select_related("organization")
    tried = 0
    for endpoint in due.order_by("notice_due_at")[:BATCH]:
        mine = WebhookEndpoint.objects.filter(pk=endpoint.pk, notice=endpoint.notice, notice_due_at__lte=Now())
        if mine.update(notice_due_at=Now() + SENDING) == 1:
            _send(endpoint)
            tried += 1
    return tried


def _send(endpoint: WebhookEndpoint) -> None:
    owners = User.objects.filter(
        memberships__organization=endpoint.organization_id, memberships__role=Role.OWNER, is_active=True
    )
    context = {
        "endpoint": endpoint,
        "organization": endpoint.organization.slug,
        "reason": endpoint.get_disabled_reason_display(),
        "page": settings.PUBLIC_URL + reverse("console:webhook", args=[endpoint.pk]),
    }
    subject, _newline, body = render_to_string(f"mail/{endpoint.notice}.txt", context).partition("\n")
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk, notice=endpoint.notice)
    try:
        addresses = list(owners.values_list("email", flat=True))
        send_mail(subject.strip(), body.strip() + "\n", settings.DEFAULT_FROM_EMAIL, addresses)
    except (OSError, SMTPException) as error:
        logger.warning("the owners of endpoint %s are told later: %s", endpoint.pk, error)
        row.update(notice_due_at=Now() + AGAIN)
    else:
        row.update(notice="", notice_due_at=None)
