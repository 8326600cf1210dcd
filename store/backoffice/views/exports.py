"""The books for an accountant."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from store.backoffice.forms import ExportForm
from store.backoffice.journal import sent, trial_balance, trial_balance_csv, written
from store.backoffice.views.actions import StaffRequest

TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


def exports(request: StaffRequest, context: dict[str, Any]) -> HttpResponseBase:
    """The trial balance of a period's last day; with ``file`` that, or the journal of the period, to be kept."""
    form = ExportForm(request.GET or None)
    period, file = form.chosen(), form.file_chosen()
    name = f"{period.since}_{period.last}"
    if file == "balance":
        headers = {"Content-Disposition": f'attachment; filename="trial-balance-{period.last}.csv"'}
        return HttpResponse(trial_balance_csv(period.last), content_type=TYPES["csv"], headers=headers)
    if file:
        headers = {"Content-Disposition": f'attachment; filename="journal-{name}.{file}"'}
        return StreamingHttpResponse(sent(written(period, file)), content_type=TYPES[file], headers=headers)
    shown = {
        "title": _("Trial balance and journal"),
        "form": form,
        "period": period,
        "accounts": trial_balance(period.last),
    }
    return render(request, "backoffice/exports.html", context | shown)
