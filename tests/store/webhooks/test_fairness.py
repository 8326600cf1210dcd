"""Two workers deliver each event once, and a receiver that hangs keeps nobody from the others."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from store.accounts.models import User
from store.webhooks import posting
from store.webhooks.actions import create_endpoint, deliver_next, emit, is_anything_due
from store.webhooks.models import Delivery, DeliveryStatus, WebhookEndpoint
from tests.store.webhooks.conftest import OpenReceiver, deliver_all, pass_time
from tests.store.webhooks.receiver import answer, hang

pytestmark = pytest.mark.django_db(transaction=True)
EVENTS, WORKERS = 12, 4


def at_once(work: Callable[[], object], count: int = WORKERS) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_workers_at_the_same_time_deliver_each_event_once(consumer: User, open_receiver: OpenReceiver) -> None:
    organization = consumer.personal_organization
    receivers = [open_receiver(), open_receiver()]
    for each in receivers:
        create_endpoint(organization=organization, user=consumer, url=each.url)
    events = [emit(organization=organization, type="fine_tuning.job.failed", data={"n": n}) for n in range(EVENTS)]

    def deliver_until_all_are_there() -> None:
        while Delivery.objects.filter(status=DeliveryStatus.PENDING).exists():
            deliver_next()

    at_once(deliver_until_all_are_there)
    for each in receivers:
        assert each.ids == [event.public_id for event in events if event]  # in order, too
        assert each.most_at_once == 1


def test_who_hangs_rests_and_others_go_on(
    consumer: User, open_receiver: OpenReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "POST_S", 0.5)
    organization = consumer.personal_organization
    slow, good = open_receiver(hang), open_receiver(answer(204))
    for each in (slow, good):
        create_endpoint(organization=organization, user=consumer, url=each.url)
    for number in range(3):
        emit(organization=organization, type="fine_tuning.job.failed", data={"n": number})
    assert deliver_all() == 4
    assert (len(slow.received), len(good.received)) == (1, 3)
    assert not is_anything_due()  # two events wait for the slow one, and no worker waits with them
    pass_time(seconds=11)
    assert is_anything_due()
    assert deliver_all() == 1
    assert WebhookEndpoint.objects.order_by("pk")[0].rest_s == 20


def test_an_event_of_a_transaction_that_is_rolled_back_never_was(consumer: User, open_receiver: OpenReceiver) -> None:
    organization = consumer.personal_organization
    create_endpoint(organization=organization, user=consumer, url=open_receiver().url)
    with transaction.atomic():
        emit(organization=organization, type="fine_tuning.job.failed", data={})
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()
