"""What the store tells of by webhook. An app adds its own types by ``register`` when it is ready; docs/webhooks.md has them all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

NAME = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event. ``example`` is what ``data`` looks like; an endpoint cannot choose what is not ``is_chosen``."""

    name: str
    description: Promise
    example: Mapping[str, Any]
    is_chosen: bool = True


_types: dict[str, EventType] = {}


def register(*types: EventType) -> None:
    """Adds types to those that exist. Raises ValueError for a name that is malformed, or taken by another type."""
    for each in types:
        if not NAME.fullmatch(each.name) or len(each.name) > MAX_NAME:
            raise ValueError(f"{each.name!r} is no name of an event type: words in lower case, joined by dots.")
        if _types.setdefault(each.name, each) != each:
            raise ValueError(f"There is another event type {each.name!r}.")


def find(name: str) -> EventType | None:
    return _types.get(name)


def all_types() -> list[EventType]:
    """By name."""
    return sorted(_types.values(), key=lambda each: each.name)


def choosable() -> list[EventType]:
    """What an endpoint can ask for, by name."""
    return [each for each in all_types() if each.is_chosen]


TEST = EventType(
    "webhook.test",
    _("Somebody pressed “send a test”. Goes to that endpoint only."),
    {"message": "This is a test. Nothing has happened."},
    is_chosen=False,
)
JOB = {"id": "ftjob-4fGh21ZkQw8LmN0pRs5TuVxY", "object": "fine_tuning.job", "model": "acme/bard"}
register(
    TEST,
    EventType(
        "fine_tuning.job.succeeded",
        _("A fine-tuning job has ended, and its model can be called."),
        {
            **JOB,
            "status": "succeeded",
            "fine_tuned_model": "ft:acme/bard:team:verse:x7Kq2",
            "trained_tokens": 48210,
            "error": None,
        },
    ),
    EventType(
        "fine_tuning.job.failed",
        _("A fine-tuning job cannot go on. The error says why."),
        {
            **JOB,
            "status": "failed",
            "fine_tuned_model": None,
            "trained_tokens": 12032,
            "error": {"code": "diverged", "message": "The loss is not a number any more.", "param": None},
        },
    ),
    EventType(
        "fine_tuning.job.cancelled",
        _("Somebody has cancelled a fine-tuning job. What was trained until then is kept as its checkpoints."),
        {**JOB, "status": "cancelled", "fine_tuned_model": None, "trained_tokens": 8064, "error": None},
    ),
)
