"""What a worker that trains asks of the store, with the token of its attempt: the data, the newest checkpoint, and where files go.

The bytes that it sends come to the links of uploads (store.uploads.asgi), as everybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from store.catalog.models import Blob
from store.errors import NotFound, StoreError
from store.tuning.models import TuneCheckpointFile, TuneJob
from store.tuning.tokens import job_of_token
from store.uploads import tus
from store.uploads.actions import begin_upload, finish_upload
from store.uploads.headers import read_new_file
from store.uploads.links import upload_path
from store.uploads.models import Purpose, UploadStatus

View = Callable[..., HttpResponseBase]


class AttemptOver(StoreError):
    """The token is wrong, or of an attempt that has the job in hand no more."""

    code = "attempt_over"
    status = 401
    default_message = "This attempt is over, or never was."


def for_attempts(view: Callable[..., HttpResponseBase]) -> View:
    """Gives the view the job of the request's token; answers errors as JSON."""

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: str) -> HttpResponseBase:
        try:
            job = job_of_token(request.headers.get("Authorization", "").removeprefix("Bearer "))
            if job is None:
                raise AttemptOver
            return view(request, job, **kwargs)
        except StoreError as error:
            return JsonResponse({"error": {"code": error.code, "message": error.message}}, status=error.status)

    return wrapped


@for_attempts
@require_GET
def data(request: HttpRequest, job: TuneJob, public_id: str) -> HttpResponseBase:
    """The content of the job's training or validation file."""
    files = [file for file in (job.training_file, job.validation_file) if file and file.public_id == public_id]
    if not files or files[0].blob is None:
        raise NotFound("There is no such file, or it was deleted.")
    return _sent(files[0].blob)


@for_attempts
@require_GET
def content(request: HttpRequest, job: TuneJob, sha256: str) -> HttpResponseBase:
    """A file of one of the job's checkpoints, by its digest."""
    file = TuneCheckpointFile.objects.filter(checkpoint__job=job, blob_id=sha256).select_related("blob").first()
    if file is None:
        raise NotFound("No checkpoint of this job has such a file.")
    return _sent(file.blob)


@for_attempts
@require_POST
def begin(request: HttpRequest, job: TuneJob) -> HttpResponseBase:
    """tus creation of a file of a checkpoint or of the result, which counts as the organization's."""
    tus.check_version(request.headers.get("Tus-Resumable", ""))
    file = read_new_file(request.headers)
    upload = begin_upload(
        organization=job.organization, user=None, path=file.filename.replace("/", "_"), size=file.size, sha256=file.sha256,
        purpose=Purpose.DATA,
    )  # fmt: skip
    if upload.size == 0 and upload.status == UploadStatus.OPEN:
        finish_upload(upload_id=upload.pk)
        upload.refresh_from_db()
    headers = {"Tus-Resumable": tus.VERSION, "Location": upload_path(upload)}
    if upload.status == UploadStatus.DONE:
        headers["Upload-Offset"] = str(upload.size)
    return HttpResponse(status=201, headers=headers)


def _sent(blob: Blob) -> FileResponse:
    answer = FileResponse(default_storage.open(blob.storage_name), content_type="application/octet-stream")
    answer["Content-Length"] = str(blob.size)
    return answer
