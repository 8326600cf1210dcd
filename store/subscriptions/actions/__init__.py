"""What can be done with plans and subscriptions. One module a noun; these are its verbs."""

from store.subscriptions.actions.changing import cancel_subscription, change_plan, resume_subscription
from store.subscriptions.actions.plans import PlanSpec, offer_plan, retire_plan
from store.subscriptions.actions.renewing import due_subscriptions, renew_subscription
from store.subscriptions.actions.subscribing import subscribe

__all__ = [
    "PlanSpec",
    "cancel_subscription",
    "change_plan",
    "due_subscriptions",
    "offer_plan",
    "renew_subscription",
    "resume_subscription",
    "retire_plan",
    "subscribe",
]
