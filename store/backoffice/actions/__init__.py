"""What people who run the store can do with money: asked for with a reason, done at once or after a second person's word."""

from store.backoffice.actions.deciding import approve, expire_actions, refuse
from store.backoffice.actions.requesting import Wish, request_action

__all__ = ["Wish", "approve", "expire_actions", "refuse", "request_action"]
