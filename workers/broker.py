"""How both Celery apps call their broker: for ever, and at once when it is back."""

from __future__ import annotations

import logging
from typing import Any, Final, Self

import kombu
from celery.app.amqp import AMQP

RECONNECT_MAX_S: Final = 1.0
SETTINGS: Final[dict[str, Any]] = {
    "accept_content": ["json"],
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {"socket_timeout": 5, "socket_connect_timeout": 2, "health_check_interval": 5},
    "task_ignore_result": True,
    "worker_enable_remote_control": False,
    "worker_log_format": "%(asctime)s %(levelname)s %(name)s %(message)s",
    "worker_prefetch_multiplier": 1,
    "worker_redirect_stdouts": False,
}
for chatty in ("celery.app.trace", "celery.beat", "celery.worker.strategy"):
    logging.getLogger(chatty).setLevel(logging.WARNING)  # lines for every task


class PatientConnection(kombu.Connection):
    """Looks for a lost broker every second, where Celery would wait for up to half a minute."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Self:
        kwargs |= {"interval_start": 0.2, "interval_step": 0.2, "interval_max": RECONNECT_MAX_S}
        return super().ensure_connection(*args, **kwargs)


class PatientAMQP(AMQP):
    Connection = PatientConnection
