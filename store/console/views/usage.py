"""Usage: what it comes to, the list of runs, and one run in full."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from store.accounts.models import Organization
from store.console.consumption import consumption
from store.console.forms.usage import WRITTEN, RunFilter, UsageFilter
from store.console.outlook import budgets_of
from store.console.pages import MemberRequest, console_page
from store.console.run_list import run_page, runs_of
from store.console.statement import transfers_of_run
from store.console.usage_export import csv_lines, exported, parquet_bytes
from store.runs.models import Run
from store.usage.budgets import budgets_now
from store.usage.forecast import forecast_of_month
from store.usage.rollup import counted_until

BUDGETS = 6  # of the organization and its models, beside the forecast; all of them have a page


@console_page
def usage(request: MemberRequest, organization: Organization) -> HttpResponse:
    """What the organization used in a period, by time and by whom."""
    form = UsageFilter(request.GET or None, organization=organization)
    spent, forecast = forecast_of_month(organization, now=timezone.now())
    before = _moment(request.GET.get("before"))
    shown = {
        "form": form,
        "month_nano": spent,
        "forecast": forecast,
        "found": consumption(organization, form, older_than=before),
        "is_older": before is not None,
        "query": request.GET.urlencode(),
        "counted_until": counted_until(),
        "budgets": budgets_now(budgets_of(organization, request.user).filter(api_key=None, member=None)[:BUDGETS]),
    }
    return render(request, "console/usage.html", shown, status=422 if form.errors else 200)


@console_page
def usage_csv(request: MemberRequest, organization: Organization) -> StreamingHttpResponse:
    """The same by the hour or day and by the group, for a spreadsheet."""
    rows = exported(organization, UsageFilter(request.GET or None, organization=organization))
    response = StreamingHttpResponse(csv_lines(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{organization.slug}-usage.csv"'
    return response


@console_page
def usage_parquet(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The same for programs."""
    rows = exported(organization, UsageFilter(request.GET or None, organization=organization))
    response = HttpResponse(parquet_bytes(rows), content_type="application/vnd.apache.parquet")
    response["Content-Disposition"] = f'attachment; filename="{organization.slug}-usage.parquet"'
    return response


@console_page
def runs(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The organization's runs, filtered."""
    form = RunFilter(request.GET or None, organization=organization)
    found = runs_of(organization, **(form.chosen() if form.is_bound else {}))
    before = _uuid(request.GET.get("before"))
    shown = {"form": form, "page": run_page(found, before=before), "is_older": before is not None}
    return render(request, "console/runs.html", shown)


@console_page
def run(request: MemberRequest, organization: Organization, run_id: UUID) -> HttpResponse:
    """One run: what was asked, made, held and moved."""
    related = ("listing__organization", "release", "price", "hold", "api_key", "user")
    found = get_object_or_404(Run.objects.filter(organization=organization).select_related(*related), pk=run_id)
    return render(request, "console/run.html", {"run": found, "transfers": transfers_of_run(found.pk)})


def _moment(text: str | None) -> datetime | None:
    """Where a page of hours or days begins (UTC); what makes no sense is the first page."""
    try:
        return datetime.strptime(text, WRITTEN).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None


def _uuid(text: str | None) -> UUID | None:
    """The cursor; what is none begins at the beginning."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
