"""What the back office can refuse."""

from __future__ import annotations

from store.errors import Conflict, InvalidRequest, PermissionDenied


class OwnRequest(PermissionDenied):
    """Four eyes are not two."""

    code = "own_request"
    default_message = "A second person decides: you cannot approve or refuse what you asked for."


class ActionDecided(Conflict):
    """Somebody else was first, or the request has expired."""

    code = "action_decided"
    default_message = "This request was decided meanwhile, or has expired."


class NotEnough(InvalidRequest):
    """The wallet that pays would fall below zero, or below what is held."""

    code = "not_enough"
    default_message = "The wallet that the money comes from does not have that much."
