"""Pages of what the jobs of an organization have: newest first, ``after`` an id, at most ``limit``."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import QueryDict

from store.api.v1.parsing import InvalidField
from store.keys.grants import KeyGrant
from store.tuning.errors import JobNotFound
from store.tuning.models import TuneJob, TuneJobQuerySet

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
METADATA = "metadata"
R = TypeVar("R", bound=Model)


def jobs_of(grant: KeyGrant) -> TuneJobQuerySet:
    """The jobs of the key's organization, whichever key or person asked for them."""
    return TuneJob.objects.filter(organization=grant.organization_id).full()


def job_of(grant: KeyGrant, job_id: str) -> TuneJob:
    """Raises JobNotFound."""
    found = jobs_of(grant).filter(public_id=job_id).first() if "\0" not in job_id else None
    if found is None:
        raise JobNotFound(f"Could not find fine tune: {job_id[:60]}", param="fine_tuning_job_id")
    return found


def with_metadata(jobs: TuneJobQuerySet, query: QueryDict) -> TuneJobQuerySet:
    """Those that have all pairs of ``metadata[key]=value``; with ``metadata=null`` those that have none."""
    if query.get(METADATA) == "null":
        return jobs.filter(metadata={})
    for name, value in query.items():
        if name.startswith(f"{METADATA}[") and name.endswith("]"):
            jobs = jobs.filter(metadata__contains={name[len(METADATA) + 1 : -1]: value})
    return jobs


def page_of(rows: QuerySet[R], query: QueryDict) -> tuple[list[R], bool]:
    """The rows after ``after``, newest first, and whether there are more. Raises InvalidField."""
    limit = _limit(query.get("limit"))
    ordered: QuerySet[Any] = rows.order_by("-pk")
    after = query.get("after")
    if after:
        last = rows.filter(public_id=after).values_list("pk", flat=True).first() if "\0" not in after else None
        if last is None:
            raise InvalidField(f"There is no {after[:60]!r} in this list.", param="after")
        ordered = ordered.filter(pk__lt=last)
    found = list(ordered[: limit + 1])
    return found[:limit], len(found) > limit


def _limit(said: str | None) -> int:
    if not said:
        return DEFAULT_LIMIT
    if not (said.isascii() and said.isdigit() and 1 <= int(said) <= MAX_LIMIT):
        raise InvalidField(f"'limit' is from 1 to {MAX_LIMIT}.", param="limit")
    return int(said)
