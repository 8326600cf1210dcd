"""Runs: the list of them, what they come to, and one in full."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from store.accounts.models import Organization
from store.console.forms.usage import UsageFilter
from store.console.pages import MemberRequest, console_page
from store.console.statement import transfers_of_run
from store.console.usage import CHART_DAYS, daily_chart, run_page, runs_of, totals
from store.runs.models import Run


@console_page
def usage(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The organization's runs, filtered, with a chart of the last days; older pages show the rows alone."""
    form = UsageFilter(request.GET or None, organization=organization)
    runs = runs_of(organization, **(form.chosen() if form.is_bound else {}))
    before = _uuid(request.GET.get("before"))
    query = request.GET.copy()
    query.pop("before", None)
    shown = {
        "form": form,
        "query": query.urlencode(),
        "page": run_page(runs, before=before),
        "is_older": before is not None,
    }
    if before is None:
        shown |= {
            "totals": totals(runs),
            "chart": daily_chart(runs, today=datetime.now(UTC).date()),
            "days": CHART_DAYS,
        }
    return render(request, "console/usage.html", shown)


@console_page
def run(request: MemberRequest, organization: Organization, run_id: UUID) -> HttpResponse:
    """One run: what was asked, made, held and moved."""
    related = ("listing__organization", "release", "price", "hold", "api_key", "user")
    found = get_object_or_404(Run.objects.filter(organization=organization).select_related(*related), pk=run_id)
    return render(request, "console/run.html", {"run": found, "transfers": transfers_of_run(found.pk)})


def _uuid(text: str | None) -> UUID | None:
    """The cursor; what is none begins at the beginning."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
