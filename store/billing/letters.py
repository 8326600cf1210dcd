"""Mails about money: rows of the transaction that they tell of, sent once it has committed, and again where the mail server was away."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from smtplib import SMTPException
from typing import Final

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone

from store.accounts.models import Organization, User
from store.billing.actions import BUYERS
from store.billing.models import Letter
from store.outbox import send_after_commit

TASK: Final = "billing.letters"
SENDING_S: Final = 300  # a sender has this long for a batch before another takes it up
BATCH: Final = 50
MAX_ATTEMPTS: Final = 12  # one more hour apart each time: half a week

logger = logging.getLogger(__name__)


def write_to_buyers(organization: Organization, *, key: str, template: str, context: Mapping[str, str]) -> None:
    """A mail to everybody who may buy for the organization."""
    people = User.objects.filter(
        memberships__organization=organization, memberships__role__in=BUYERS, is_active=True
    ).distinct()
    about = {"organization": organization.slug, **context}
    write(people.values_list("email", flat=True), key=key, template=template, context=about)


def write(addresses: Iterable[str], *, key: str, template: str, context: Mapping[str, str]) -> None:
    """Writes a mail to each address into the outbox, once for each ``key``. ``url`` in its context is the wallet where none is given."""
    about = {"url": f"{settings.PUBLIC_URL}/wallet", **context}
    letters = [Letter(key=key, address=address, template=template, context=about) for address in addresses]
    if Letter.objects.bulk_create(letters, ignore_conflicts=True):
        send_after_commit(TASK)


def send_letters() -> int:
    """Sends the mails that are due, BATCH at most. Returns how many were tried; called again while that is BATCH."""
    now = timezone.now()
    with transaction.atomic():
        due = Letter.objects.filter(sent_at=None, due_at__lte=now, attempts__lt=MAX_ATTEMPTS).order_by("due_at")
        ids = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH])
        Letter.objects.filter(pk__in=ids).update(due_at=now + timedelta(seconds=SENDING_S), attempts=F("attempts") + 1)
    for letter in Letter.objects.filter(pk__in=ids).order_by("pk"):
        _send(letter)
    return len(ids)


def _send(letter: Letter) -> None:
    subject, _newline, body = render_to_string(f"mail/{letter.template}.txt", letter.context).partition("\n")
    try:
        send_mail(subject.strip(), body.strip() + "\n", settings.DEFAULT_FROM_EMAIL, [letter.address])
    except (OSError, SMTPException) as error:
        logger.warning("letter %s is sent again later: %s", letter.pk, error)
        later = timezone.now() + timedelta(hours=letter.attempts)
        Letter.objects.filter(pk=letter.pk).update(due_at=later)
    else:
        Letter.objects.filter(pk=letter.pk).update(sent_at=timezone.now())
