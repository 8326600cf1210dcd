"""The storage is kept clean."""

from __future__ import annotations

import logging

from celery import shared_task

from store.catalog.storage import collect_unused
from store.uploads.actions import reap_uploads

logger = logging.getLogger(__name__)


@shared_task(name="uploads.reap")
def reap_expired_uploads() -> None:
    """Ends uploads that nobody goes on with."""
    reap_uploads()


@shared_task(name="storage.collect")
def collect_unused_content() -> None:
    """Forgets content that nothing holds."""
    logger.info("%d bytes of unused content were forgotten", collect_unused())
