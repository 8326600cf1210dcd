"""Mails: each kind can be read, goes to each once, waits where the mail server is away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from store.accounts.models import User
from store.catalog.actions.notices import send_notices, tell
from store.catalog.models import Listing, Notice, NoticeKind

pytestmark = pytest.mark.django_db

CONTEXT = {
    "problems": "- it is <b>broken</b> & more", "count": "1", "reason": "Because.", "outcome": "Granted", "answer": "Yes.",
    "day": "2026-12-01 12:00 UTC", "changes": "- input: $1.00 -> $2.00", "person": "Ann", "email": "ann@example.com",
    "organization": "Globe Ltd", "plan": "Small", "wallet": "http://store.example/wallet",
}  # fmt: skip
OF_AN_ORGANIZATION = (NoticeKind.PAYOUT_PAID, NoticeKind.PAYOUT_FAILED, NoticeKind.PAYOUT_ACCOUNT)


@pytest.mark.parametrize("kind", NoticeKind.values)
def test_every_kind_has_a_text_of_its_own(listing: Listing, consumer: User, kind: str) -> None:
    tell([consumer], NoticeKind(kind), listing, **CONTEXT)
    assert send_notices() == 1
    (message,) = mail.outbox
    assert message.to == [consumer.email]
    assert ("Globe Ltd" if kind in OF_AN_ORGANIZATION else "provider/bard") in message.subject
    assert "\n" not in message.subject
    assert ("/wallet" if kind == NoticeKind.SUBSCRIPTION_PAST_DUE else "/provider/bard") in message.body
    assert "{" not in message.body
    assert "&lt;" not in message.body


def test_a_mail_is_sent_once_to_each(listing: Listing, consumer: User, stranger: User) -> None:
    tell([consumer, stranger], NoticeKind.READY, listing)
    assert (send_notices(), send_notices()) == (2, 0)
    assert sorted(message.to[0] for message in mail.outbox) == [consumer.email, stranger.email]
    assert not Notice.objects.filter(sent_at=None).exists()


def test_a_mail_waits_where_the_server_is_away(
    listing: Listing, consumer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: EmailBackend, messages: object) -> int:
        raise ConnectionRefusedError("mail is away")

    tell([consumer], NoticeKind.READY, listing)
    with monkeypatch.context() as away:
        away.setattr(EmailBackend, "send_messages", refuse)
        assert (send_notices(), send_notices()) == (1, 0)
    notice = Notice.objects.get()
    assert notice.sent_at is None
    assert notice.due_at > timezone.now() + timedelta(minutes=50)
    Notice.objects.update(due_at=timezone.now())
    assert send_notices() == 1
    assert len(mail.outbox) == 1
