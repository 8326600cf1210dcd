"""Trainings: list, ask for one with its quote, watch one, compare two; stop, pause, go on."""

from __future__ import annotations

import csv
import hashlib
import io

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRefresh

from store.accounts.models import Organization
from store.catalog.actions.permission import PUBLISHING_ROLES
from store.console import training
from store.console.context import role_in
from store.console.forms.tuning import TuneForm
from store.console.pages import MemberRequest, console_page
from store.console.snippets import snippets
from store.errors import StoreError
from store.runs.books import ReplayKey
from store.tuning.actions.jobs import cancel_job, create_job, pause_job, resume_job
from store.tuning.errors import JobNotFound
from store.tuning.models import JobStatus, TuneJob, TunePoint

VERBS = {"cancel": cancel_job, "pause": pause_job, "resume": resume_job}
LOG_LINES = 200
CSV_COLUMNS = ("step", "loss", "val_loss", "learning_rate", "grad_norm", "tokens_per_s", "trained_tokens")


@console_page
def jobs(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The organization's trainings, newest first."""
    asked = {name: request.GET.get(name, "").strip() for name in ("status", "base", "words")}
    page = training.job_page(organization, before=_number(request, "before"), **asked)
    shown = {
        "page": page, "is_older": "before" in request.GET, "asked": asked, "statuses": JobStatus.choices,
        "bases": training.bases_of(organization), "may_tune": role_in(organization, request.user) in PUBLISHING_ROLES,
        "is_filtered": any(asked.values()),
    }  # fmt: skip
    return render(request, "console/tune/jobs.html", shown)


@console_page
def new(request: MemberRequest, organization: Organization) -> HttpResponse:
    """A new training. The same form sent twice is one."""
    initial = {"base": request.GET.get("base", ""), "training_file": request.GET.get("file", "")}
    form = TuneForm(request.POST or None, organization=organization, user=request.user, initial=initial)
    status = 200
    if form.is_valid():
        try:
            job = create_job(wish=form.wish(), user=request.user, replay=_replay(form, request))
            return redirect("console:tune-job", job.public_id)
        except StoreError as error:
            form.refuse(error)
            status = error.status
    elif form.is_bound:
        status = 422
    may_tune = role_in(organization, request.user) in PUBLISHING_ROLES
    shown = {"form": form, "names": training.tunable(request.user, organization), "may_tune": may_tune}
    return render(request, "console/tune/new.html", shown, status=status)


@require_POST
@console_page
def quote(request: MemberRequest, organization: Organization) -> HttpResponse:
    """What the form as it stands would cost: a part of the page, asked for as it is filled in."""
    form = TuneForm(request.POST, organization=organization, user=request.user)
    return render(request, "console/tune/_quote.html", training.quoted(form))


@console_page
def job(request: MemberRequest, organization: Organization, job_id: str) -> HttpResponse:
    """One training. Asked for by htmx it is the part that changes; once it has ended, the page is new."""
    found = _job_of(organization, job_id)
    if request.htmx and not found.is_open:  # type: ignore[attr-defined]
        return HttpResponseClientRefresh()
    shown = {
        "job": found, "cost_nano": training.cost_nano(found), "answers": training.answers_of(found),
        "checkpoints": training.checkpoints_of(found), "events": found.events.order_by("-pk")[:LOG_LINES],
        "position": found.position() if found.status == JobStatus.QUEUED else None,
        "may_tune": role_in(organization, request.user) in PUBLISHING_ROLES,
    }  # fmt: skip
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "console/tune/_live.html", shown)
    shown |= {"snippets": snippets(found.model_name), "hyper": training.hyper_rows([found])}
    return render(request, "console/tune/job.html", shown)


@console_page
def points(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The curves of ``job`` (one or several), for the charts: as many points as a screen has room for."""
    found = training.compared_jobs(organization, request.GET.getlist("job"))
    if not found:
        raise JobNotFound
    return JsonResponse(training.curves(found))


@console_page
def metrics(request: MemberRequest, organization: Organization, job_id: str) -> HttpResponse:
    """Every point of a training, for a spreadsheet."""
    found = _job_of(organization, job_id)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(CSV_COLUMNS)
    rows.writerows(TunePoint.objects.filter(job=found).order_by("step").values_list(*CSV_COLUMNS).iterator())
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{found.public_id}.csv"'
    return response


@require_POST
@console_page
def change(request: MemberRequest, organization: Organization, job_id: str, verb: str) -> HttpResponse:
    """Cancels, pauses or goes on."""
    try:
        VERBS[verb](job=_job_of(organization, job_id), user=request.user)
    except StoreError as error:
        if isinstance(error, JobNotFound):
            raise
        messages.error(request, error.message)
    return redirect("console:tune-job", job_id)


@console_page
def compare(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Trainings beside each other: ``jobs`` has their ids, separated by commas."""
    ids = [each.strip() for said in request.GET.getlist("jobs") for each in said.split(",") if each.strip()]
    found = training.compared_jobs(organization, ids)
    costs = [training.cost_nano(each) for each in found]
    points = "?" + "&".join(f"job={each.public_id}" for each in found)
    shown = {"jobs": found, "costs": costs, "points": points, "hyper": training.hyper_rows(found)}
    return render(request, "console/tune/compare.html", shown)


def _job_of(organization: Organization, job_id: str) -> TuneJob:
    found = TuneJob.objects.filter(organization=organization, public_id=job_id).full().first()
    if found is None:
        raise JobNotFound(_("There is no such training."))
    return found


def _number(request: HttpRequest, name: str) -> int | None:
    said = request.GET.get(name, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else None


def _replay(form: TuneForm, request: HttpRequest) -> ReplayKey | None:
    once = form.cleaned_data["once"]
    fields = sorted((name, value) for name, value in request.POST.items() if name != "csrfmiddlewaretoken")
    return ReplayKey(key=f"page:{once}", body_sha256=hashlib.sha256(repr(fields).encode()).digest()) if once else None
