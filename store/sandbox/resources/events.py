"""What has happened, as it was told to the webhook."""

from __future__ import annotations

from store.sandbox import objects
from store.sandbox.objects import Body
from store.sandbox.params import LISTING, check


def read_event(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("event", id)


def list_events(params: Body) -> Body:
    given = check(params, {**LISTING, "type": str, "types": [str]})
    types = {given["type"]} if "type" in given else set(given.get("types", []))
    return objects.page("event", "/v1/events", given, keep=(lambda event: event["type"] in types) if types else None)
