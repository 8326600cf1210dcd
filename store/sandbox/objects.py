"""Keeping, changing and listing objects. All changes happen one after another: see :func:`lock`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import Max, QuerySet

from store.sandbox.errors import ApiError, missing
from store.sandbox.models import Delivery, StripeObject

API_VERSION = "2026-10-28.endive"
LOCK = 0x73_62_78  # of Postgres's advisory locks: "sbx"
MOST_LISTED = 100
LISTED = 10  # where nothing else was asked for
OWN_NOTES = {"intent_data", "names", "bank", "is_open"}  # the sandbox's own: nobody else sees them
Body = dict[str, Any]


def lock() -> None:
    """Nothing else changes the sandbox until the transaction ends: it is a toy, and its states are to be whole."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def now() -> int:
    """Unix time."""
    return int(time.time())


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def kept_as(kind: str, of: str) -> str:
    """Under which kind an object is kept: those of a connected account, ``of``, are nobody else's."""
    return f"{of}/{kind}" if of else kind


def create(kind: str, prefix: str, *, secret: str = "", of: str = "", **fields: Any) -> Body:
    """A new object with what all have. ``kind`` is Stripe's ``object``; ``of`` the connected account. :func:`lock` comes first."""
    last = StripeObject.objects.aggregate(last=Max("number"))["last"] or 0
    created = now()
    data = {"id": new_id(prefix), "object": kind, "created": created, "livemode": False, **fields}
    StripeObject.objects.create(
        id=data["id"], number=last + 1, kind=kept_as(kind, of), data=data, secret=secret, created=created
    )
    return data


def read(kind: str, id: str, *, param: str = "id", of: str = "") -> Body:
    """Raises ApiError (404)."""
    return dict(_row(kept_as(kind, of), id, param).data)


def secret_of(kind: str, id: str) -> str:
    """What the API does not show of an object."""
    return _row(kind, id, "id").secret


def change(data: Body, **fields: Any) -> Body:
    """The object with other fields, kept."""
    data.update(fields)
    StripeObject.objects.filter(pk=data["id"]).update(data=data)
    return data


def remove(data: Body) -> None:
    """An object that is there no more."""
    StripeObject.objects.filter(pk=data["id"]).delete()


def find(kind: str, *, of: str = "", **fields: Any) -> list[Body]:
    """Objects whose fields have these values, oldest first."""
    found = StripeObject.objects.filter(kind=kept_as(kind, of), data__contains=fields)
    return [row.data for row in found.order_by("number")]


def emit(type: str, data: Body, *, of: str = "") -> None:
    """An event that says what an object is now, and its delivery. Those of a connected account name it."""
    whose = {"account": of} if of else {}
    event = create(
        "event", "evt", of=of, type=type, api_version=API_VERSION, data={"object": public(data)}, pending_webhooks=1,
        request={"id": None, "idempotency_key": None}, **whose,
    )  # fmt: skip
    Delivery.objects.create(event_id=event["id"])


def public(data: Body) -> Body:
    """The object without the sandbox's own notes."""
    return {name: value for name, value in data.items() if name not in OWN_NOTES}


def page(
    kind: str,
    url: str,
    params: Body,
    *,
    where: Body | None = None,
    keep: Callable[[Body], bool] | None = None,
    of: str = "",
) -> Body:
    """A list, newest first, with Stripe's cursors."""
    kind = kept_as(kind, of)
    limit = params.get("limit", LISTED)
    if not 1 <= limit <= MOST_LISTED:
        raise ApiError(f"limit is between 1 and {MOST_LISTED}.", code="parameter_invalid_integer", param="limit")
    rows = _asked(StripeObject.objects.filter(kind=kind, data__contains=where or {}), params.get("created", {}))
    backwards = "ending_before" in params
    if backwards:
        rows = rows.filter(number__gt=_row(kind, params["ending_before"], "ending_before").number).order_by("number")
    else:
        rows = rows.order_by("-number")
        if "starting_after" in params:
            rows = rows.filter(number__lt=_row(kind, params["starting_after"], "starting_after").number)
    found = [row.data for row in (rows if keep else rows[: limit + 1]) if keep is None or keep(row.data)]
    shown = found[:limit]
    return {"object": "list", "url": url, "has_more": len(found) > limit, "data": shown[::-1] if backwards else shown}


def _asked(rows: QuerySet[StripeObject], created: Body) -> QuerySet[StripeObject]:
    return rows.filter(**{f"created__{name}": value for name, value in created.items()})


def _row(kind: str, id: str, param: str) -> StripeObject:
    row = StripeObject.objects.filter(kind=kind, pk=id).first()
    if row is None:
        raise missing(kind.rpartition("/")[2], id, param)
    return row
