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
TUNE_EVERY_S = 5.0
LOW_EVERY_S = 30.0
DUE_EVERY_S = 10.0  # what was lost on the way is sent again so often
USAGE_EVERY_S = 30.0
TASKS = (
    "check",
    "conversions",
    "data",
    "fetch",
    "hub_data",
    "invitations",
    "measure",
    "money",
    "months",
    "notices",
    "payments",
    "payouts",
    "rank",
    "reap",
    "shelf",
    "storage",
    "subscriptions",
    "tuning",
    "usage",
    "webhooks",
)

app = Celery(
    "cpu", broker=settings.BROKER_URL, amqp=broker.PatientAMQP, include=[f"workers.{module}" for module in TASKS]
)
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
        "act on events that wait": {
            "task": "billing.due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "end grants, welcome people": {"task": "grants.due", "schedule": crontab(), "options": {"expires": 60}},
        "count what was spent of grants": {"task": "grants.count", "schedule": crontab(minute="35")},
        "bring refunds to an end": {
            "task": "billing.refunds", "schedule": LOW_EVERY_S, "options": {"expires": LOW_EVERY_S},
        },
        "top up low balances": {
            "task": "billing.automatic", "schedule": LOW_EVERY_S, "options": {"expires": LOW_EVERY_S},
        },
        "issue statements of last month": {"task": "billing.statements", "schedule": crontab(hour="4", minute="30", day_of_month="2-4")},
        "send letters that wait": {"task": "billing.letters", "schedule": crontab(), "options": {"expires": 60}},
        "find events that never came": {"task": "billing.reconcile", "schedule": crontab(minute="*/15")},
        "go on with payouts": {
            "task": "payouts.due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "ask for payouts by schedule": {"task": "payouts.schedule", "schedule": crontab()},
        "let earnings become available": {"task": "payouts.mark", "schedule": crontab(minute="7")},
        "look at accounts that are paid": {"task": "payouts.accounts", "schedule": crontab(minute="*/15")},
        "prove the books": {"task": "money.audit", "schedule": crontab(hour="3", minute="15")},
        "prove what was asked for": {"task": "money.due", "schedule": crontab(minute="*/5"), "options": {"expires": 300}},
        "keep the days of the ledger": {"task": "money.days", "schedule": crontab(hour="2", minute="5")},
        "end requests of staff": {"task": "money.requests", "schedule": crontab(minute="20")},
        "make the coming months of runs": {"task": "runs.months", "schedule": crontab(hour="2", minute="20")},
        "forget old answers": {"task": "money.replays", "schedule": crontab(minute="40")},
        "check what is due": {
            "task": "check.due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "measure what is due": {
            "task": "measure.due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "import what is due": {
            "task": "import.due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "convert what is due": {
            "task": "conversion.due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "read training data that is due": {
            "task": "data.due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "import data sets that are due": {
            "task": "data.imports_due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "delete training data that has expired": {"task": "data.expire", "schedule": crontab(minute="*/10")},
        "train what is due": {
            "task": "tuning.due", "schedule": TUNE_EVERY_S, "options": {"expires": TUNE_EVERY_S},
        },
        "measure old releases anew": {"task": "measure.oldest", "schedule": crontab(hour="4", minute="10")},
        "send mails that wait": {"task": "mail.notices", "schedule": crontab()},
        "send invitations that wait": {"task": "accounts.mail_due_invitations", "schedule": crontab()},
        "announce prices that wait": {"task": "price.due", "schedule": crontab()},
        "end listings on their last day": {"task": "shelf.shutdowns", "schedule": crontab()},
        "end uploads that nobody goes on with": {"task": "uploads.reap", "schedule": crontab(minute="*/10")},
        "index what has changed": {
            "task": "discovery.refresh_stale", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "draw the tiers of the index": {"task": "discovery.retier", "schedule": crontab(minute="25")},
        "count the runs of this hour": {"task": "reputation.roll_up", "schedule": crontab()},
        "count the runs of two days": {"task": "reputation.roll_up_again", "schedule": crontab(hour="2", minute="50")},
        "rank by use": {"task": "reputation.trending", "schedule": crontab(minute="*/10")},
        "pay months that are due": {"task": "subscriptions.due", "schedule": crontab()},
        "deliver webhooks that are due": {
            "task": "webhooks.due", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S},
        },
        "count what was used": {"task": "usage.roll_up", "schedule": USAGE_EVERY_S, "options": {"expires": USAGE_EVERY_S}},
        "tell of budgets": {"task": "usage.alerts", "schedule": DUE_EVERY_S, "options": {"expires": DUE_EVERY_S}},
        "tell owners of webhooks that fail": {"task": "webhooks.notices", "schedule": crontab()},
        "forget old events": {"task": "webhooks.forget", "schedule": crontab(hour="3", minute="55")},
        "forget content that nothing holds": {"task": "storage.collect", "schedule": crontab(hour="3", minute="45")},
    },
)  # fmt: skip
