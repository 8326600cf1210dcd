"""What the verbs of webhooks refuse."""

from __future__ import annotations

from typing import ClassVar

from store.errors import Conflict


class TooManyEndpoints(Conflict):
    """An organization has MAX_ENDPOINTS."""

    code: ClassVar[str] = "too_many_webhooks"
    default_message: ClassVar[str] = "Your organization has as many webhooks as it may. Delete one that you do not use."


class EndpointDisabled(Conflict):
    """Nothing is sent to it now."""

    code: ClassVar[str] = "webhook_disabled"
    default_message: ClassVar[str] = "This webhook is switched off. Switch it on first."
