"""Receivers, endpoints that lead to them, and time that passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db.models import F

from store.accounts.models import User
from store.webhooks.actions import IssuedEndpoint, create_endpoint, deliver_next
from store.webhooks.models import Delivery, WebhookEndpoint
from tests.store.webhooks.receiver import Act, Receiver, answer

OpenReceiver = Callable[..., Receiver]


@pytest.fixture
def open_receiver() -> Iterator[OpenReceiver]:
    opened: list[Receiver] = []

    def open_one(*acts: Act) -> Receiver:
        opened.append(Receiver(list(acts) or [answer(204)]))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def receiver(open_receiver: OpenReceiver) -> Receiver:
    """Takes everything, until a test says otherwise by ``receiver.acts``."""
    return open_receiver()


@pytest.fixture
def issued(consumer: User, receiver: Receiver) -> IssuedEndpoint:
    """The consumer's webhook, which leads to ``receiver``, with its secret."""
    return create_endpoint(organization=consumer.personal_organization, user=consumer, url=receiver.url)


def deliver_all() -> int:
    """Delivers until nothing is due; returns how many attempts that took."""
    count = 0
    while deliver_next():
        count += 1
    return count


def pass_time(**amount: float) -> None:
    """As if so much more of it had passed, for all that was noted."""
    back = timedelta(**amount)
    Delivery.objects.update(due_at=F("due_at") - back, created_at=F("created_at") - back)
    WebhookEndpoint.objects.update(
        free_at=F("free_at") - back, enabled_at=F("enabled_at") - back, succeeded_at=F("succeeded_at") - back,
        undelivered_told_at=F("undelivered_told_at") - back, old_until=F("old_until") - back,
    )  # fmt: skip
