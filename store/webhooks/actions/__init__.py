"""What can be done with webhooks. One module a noun; these are its verbs."""

from store.webhooks.actions.delivering import deliver_next, is_anything_due
from store.webhooks.actions.emitting import emit, forget_events, redeliver, send_test
from store.webhooks.actions.endpoints import (
    IssuedEndpoint,
    create_endpoint,
    delete_endpoint,
    disable_endpoint,
    enable_endpoint,
    rotate_secret,
    update_endpoint,
)
from store.webhooks.actions.notices import send_notices

__all__ = [
    "IssuedEndpoint",
    "create_endpoint",
    "delete_endpoint",
    "deliver_next",
    "disable_endpoint",
    "emit",
    "enable_endpoint",
    "forget_events",
    "is_anything_due",
    "redeliver",
    "rotate_secret",
    "send_notices",
    "send_test",
    "update_endpoint",
]
