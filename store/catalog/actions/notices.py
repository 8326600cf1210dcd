"""People are told by mail what happened to what they sell, buy or asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone

from store.accounts.models import User
from store.catalog.models import Listing, Notice, NoticeKind
from store.outbox import send_after_commit

SENDING_S = 300  # a sender has this long for a batch before another takes it up
BATCH = 50
MAX_ATTEMPTS = 12  # one more hour apart each time: half a week

logger = logging.getLogger(__name__)


def page_of(listing: Listing) -> str:
    """Where a listing is on the web."""
    return f"{settings.PUBLIC_URL}/{listing.name}"


def tell(users: Iterable[User], kind: NoticeKind, listing: Listing, **context: str) -> None:
    """Writes a mail to each of ``users`` about ``listing`` into the outbox."""
    about = {"model": listing.name, "url": page_of(listing), **context}
    notices = [Notice(user=user, kind=kind, context=about) for user in users]
    if notices:
        Notice.objects.bulk_create(notices)
        send_after_commit("mail.notices")


def send_notices() -> int:
    """Sends the mails that are due, BATCH at most. Returns how many were tried; called again while that is BATCH."""
    now = timezone.now()
    with transaction.atomic():
        due = Notice.objects.filter(sent_at=None, due_at__lte=now, attempts__lt=MAX_ATTEMPTS).order_by("due_at")
        ids = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH])
        Notice.objects.filter(pk__in=ids).update(due_at=now + timedelta(seconds=SENDING_S), attempts=F("attempts") + 1)
    for notice in Notice.objects.filter(pk__in=ids).select_related("user").order_by("pk"):
        _send(notice)
    return len(ids)


def _send(notice: Notice) -> None:
    subject, _newline, body = render_to_string(f"mail/{notice.kind}.txt", notice.context).partition("\n")
    try:
        send_mail(subject.strip(), body.strip() + "\n", settings.DEFAULT_FROM_EMAIL, [notice.user.email])
    except (OSError, SMTPException) as error:
        logger.warning("notice %s is sent again later: %s", notice.pk, error)
        later = timezone.now() + timedelta(hours=notice.attempts)
        Notice.objects.filter(pk=notice.pk).update(due_at=later)
    else:
        Notice.objects.filter(pk=notice.pk).update(sent_at=timezone.now())
