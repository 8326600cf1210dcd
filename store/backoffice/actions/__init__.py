"""What people who run the store can do with money: asked for with a reason, done at once or after a second person's word."""

from store.backoffice.actions.deciding import approve, expire_actions, refuse
from store.backoffice.actions.requesting import request_action
from store.backoffice.actions.wish import Wish

__all__ = ["Wish", "approve", "expire_actions", "refuse", "request_action"]
