"""What can be said against a plan or a subscription."""

from __future__ import annotations

from typing import ClassVar

from store.errors import Conflict, InvalidRequest


class AlreadySubscribed(Conflict):
    """An organization has one subscription to a model at a time."""

    code: ClassVar[str] = "already_subscribed"
    default_message: ClassVar[str] = "You have a subscription to this model: change its plan instead."


class SubscriptionEnded(Conflict):
    """It can be looked at, and not changed."""

    code: ClassVar[str] = "subscription_ended"
    default_message: ClassVar[str] = "This subscription has ended."


class PlanNotOffered(InvalidRequest):
    """The plan was retired, or is of another model, or its model cannot be called."""

    code: ClassVar[str] = "plan_not_offered"
    default_message: ClassVar[str] = "This plan cannot be subscribed to."
