"""An organization's runs, filtered, by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from store.accounts.models import Organization, User
from store.catalog.models import Listing
from store.keys.models import ApiKey
from store.runs.ids import earlier, first_id
from store.runs.models import CLOCKS_DIFFER, Run, RunQuerySet

PER_PAGE = 50
LATELY = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class RunPage:
    """``older`` is the id after which the next page begins, None on the last."""

    runs: list[Run]
    older: UUID | None


def runs_of(
    organization: Organization, *, model: Listing | None = None, key: ApiKey | None = None, member: User | None = None,
    kind: str = "", status: str = "", since: datetime | None = None, until: datetime | None = None,
) -> RunQuerySet:  # fmt: skip
    """The organization's runs, newest first, opened since (included) and until (not)."""
    found = Run.objects.newest_first().filter(organization=organization)
    exact = {"listing": model, "api_key": key, "endpoint": kind, "status": status}
    found = found.filter(**{name: value for name, value in exact.items() if value})
    if member:
        found = found.filter(Q(user=member) | Q(user=None, api_key__created_by=member))
    if since:
        found = found.filter(id__gte=first_id(since))
    if until:
        found = found.filter(id__lt=first_id(until))
    return found


def run_page(runs: RunQuerySet, *, before: UUID | None) -> RunPage:
    """The newest runs that are older than ``before``. LATELY mostly has enough of them: then the server plans for no other month."""
    end = first_id(timezone.now() + CLOCKS_DIFFER)
    end = min(before, end) if before else end
    runs = runs.filter(id__lt=end).select_related("listing__organization", "api_key")
    rows = list(runs.filter(id__gte=earlier(end, LATELY))[: PER_PAGE + 1])
    if len(rows) <= PER_PAGE:
        rows = list(runs[: PER_PAGE + 1])
    return RunPage(rows[:PER_PAGE], rows[PER_PAGE - 1].id if len(rows) > PER_PAGE else None)
