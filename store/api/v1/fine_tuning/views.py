"""The endpoints of jobs."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase

from store.accounts.models import Organization
from store.api.v1.answering import sse_response
from store.api.v1.calling import replay_key
from store.api.v1.endpoint import endpoint, grant_of, json_response
from store.api.v1.fine_tuning.asked import JobRequest, in_their_words, wish_of
from store.api.v1.fine_tuning.pages import job_of, jobs_of, page_of, with_metadata
from store.api.v1.fine_tuning.shapes import Json, shown_checkpoint, shown_event, shown_job, shown_page
from store.api.v1.fine_tuning.stream import events_of
from store.api.v1.parsing import read_body
from store.errors import InvalidRequest
from store.keys.grants import KeyGrant
from store.keys.models import ApiKey
from store.runs.books import ReplayKey
from store.runs.database_thread import query
from store.tuning.actions.jobs import cancel_job, create_job, pause_job, resume_job
from store.tuning.models import JobStatus, TuneJob

_decoder = msgspec.json.Decoder(JobRequest)


@endpoint("GET", "POST")
async def jobs(request: HttpRequest) -> HttpResponseBase:
    """``GET``: the organization's jobs. ``POST``: a new one."""
    grant = await grant_of(request)
    if request.method == "GET":
        return json_response(await query(_listed, grant, request.GET))
    asked = read_body(request.body, _decoder)
    return json_response(await query(_created, grant, asked, replay_key(request, asked)))


@endpoint("GET")
async def job(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """``GET /v1/fine_tuning/jobs/{id}``."""
    grant = await grant_of(request)
    return json_response(await query(_shown, grant, job_id))


@endpoint("POST")
async def cancel(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Ends it; what was trained is charged, checkpoints stay."""
    grant = await grant_of(request)
    return json_response(await query(_changed, cancel_job, grant, job_id))


@endpoint("POST")
async def pause(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Stops it at a checkpoint."""
    grant = await grant_of(request)
    return json_response(await query(_changed, pause_job, grant, job_id))


@endpoint("POST")
async def resume(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Goes on where it was paused."""
    grant = await grant_of(request)
    return json_response(await query(_changed, resume_job, grant, job_id))


@endpoint("GET")
async def events(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """The job's log, newest first; with ``stream=true`` as it happens, oldest first."""
    grant = await grant_of(request)
    found = await query(job_of, grant, job_id)
    if request.GET.get("stream", "").lower() not in ("true", "1"):
        return json_response(await query(_events, found, request.GET))
    after = await query(_event_id, found, request.GET.get("after", ""))
    return sse_response(events_of(found, after=after), headers={})


@endpoint("GET")
async def checkpoints(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """The models that the job has left on its way, newest first. Each can be called."""
    grant = await grant_of(request)
    return json_response(await query(_checkpoints, grant, job_id, request.GET))


def _created(grant: KeyGrant, asked: JobRequest, replay: ReplayKey | None) -> Json:
    organization = Organization.objects.get(pk=grant.organization_id)
    api_key = ApiKey.objects.select_related("created_by").get(pk=grant.api_key_id)
    try:
        made = create_job(wish=wish_of(asked, organization), user=api_key.created_by, api_key=api_key, replay=replay)
    except InvalidRequest as error:
        raise in_their_words(error) from error
    return _shown(grant, made.public_id)


def _changed(verb: Any, grant: KeyGrant, job_id: str) -> Json:
    verb(job=job_of(grant, job_id))
    return _shown(grant, job_id)


def _shown(grant: KeyGrant, job_id: str) -> Json:
    found = job_of(grant, job_id)
    return shown_job(found, position=found.position() if found.status == JobStatus.QUEUED else None)


def _listed(grant: KeyGrant, asked: QueryDict) -> Json:
    found, has_more = page_of(with_metadata(jobs_of(grant), asked), asked)
    return shown_page([shown_job(one) for one in found], has_more=has_more)


def _events(found: TuneJob, asked: QueryDict) -> Json:
    rows, has_more = page_of(found.events.all(), asked)
    return shown_page([shown_event(row) for row in rows], has_more=has_more)


def _event_id(found: TuneJob, after: str) -> int:
    """Of the row of an event; 0 where none is named or known."""
    known = found.events.filter(public_id=after).values_list("pk", flat=True).first() if "\0" not in after else None
    return known or 0


def _checkpoints(grant: KeyGrant, job_id: str, asked: QueryDict) -> Json:
    rows, has_more = page_of(job_of(grant, job_id).checkpoints.select_related("job"), asked)
    return shown_page([shown_checkpoint(row) for row in rows], has_more=has_more)
