"""Trouble on demand: ``POST /_faults`` with kind, and optionally method, prefix (of the path), remaining, delay_s."""

from __future__ import annotations

from django.db.models import F

from store.sandbox.errors import ApiError
from store.sandbox.models import Fault
from store.sandbox.objects import Body

KINDS = (
    "refuse",  # 500, and nothing was done
    "lose",  # it was done, and the answer is a 500
    "drop",  # it was done, and the connection ends without an answer
    "hang",  # it was done, and the answer comes delay_s later
    "busy",  # 429
    "poor",  # the platform's balance does not cover it, and nothing was done
    "repeat",  # a webhook is sent twice
)


def add(given: Body) -> Body:
    """Arms a fault. Raises ApiError on one that does not exist."""
    if given.get("kind") not in KINDS:
        raise ApiError(f"kind is one of {', '.join(KINDS)}", param="kind")
    fault = Fault.objects.create(
        kind=given["kind"], method=given.get("method", ""), prefix=given.get("prefix", ""),
        remaining=int(given.get("remaining", 1)), delay_s=float(given.get("delay_s", 0)),
    )  # fmt: skip
    return {"id": fault.pk, "kind": fault.kind}


def take(method: str, path: str) -> Fault | None:
    """The fault that meets this request, counted down."""
    for fault in Fault.objects.filter(remaining__gt=0, method__in=("", method)).order_by("pk"):
        is_met = path.startswith(fault.prefix)
        if is_met and Fault.objects.filter(pk=fault.pk, remaining__gt=0).update(remaining=F("remaining") - 1):
            return fault
    return None
