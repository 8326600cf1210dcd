"""The Celery app for everything but models, and its clock: ``celery -A workers.cpu worker`` and ``celery -A workers.cpu beat``.

A task takes ids, calls one verb, and may run twice or at the same time as itself: what it does is decided by rows.
"""

from __future__ import annotations

import django
from celery import Celery
from celery.schedules import crontab
from django.conf import settings

from store.settings import configure
from workers import broker

configure()
django.setup(set_prefix=False)

from store.outbox import CPU_QUEUE  # noqa: E402 - it needs the settings

REAP_EVERY_S = 5.0

app = Celery("cpu", broker=settings.BROKER_URL, amqp=broker.PatientAMQP, include=["workers.reap", "workers.money"])
app.conf.update(
    broker.SETTINGS,
    task_acks_late=True,
    task_default_queue=CPU_QUEUE,
    timezone=settings.TIME_ZONE,
    beat_schedule={
        "settle what dead gateways left": {
            "task": "reap.orphans", "schedule": REAP_EVERY_S, "options": {"expires": REAP_EVERY_S},
        },
        "expire what nobody settled": {
            "task": "reap.holds", "schedule": REAP_EVERY_S, "options": {"expires": REAP_EVERY_S},
        },
        "prove the books": {"task": "money.audit", "schedule": crontab(hour="3", minute="15")},
        "forget old answers": {"task": "money.replays", "schedule": crontab(minute="40")},
    },
)  # fmt: skip
