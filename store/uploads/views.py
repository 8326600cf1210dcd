"""Beginning an upload (tus creation), and what the browser asks of uploads. The bytes themselves come to store.uploads.asgi."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from store.accounts.models import Organization, TokenScope, User
from store.catalog.storage import has_blobs
from store.errors import InvalidRequest, NotFound
from store.uploads import tus
from store.uploads.actions import begin_upload, check_sender, finish_upload
from store.uploads.headers import read_new_file
from store.uploads.links import upload_path
from store.uploads.models import Upload, UploadStatus
from store.uploads.reads import offset_of
from store.uploads.request import expires

MAX_ASKED = 1_000  # digests in one question: the files of a release


@extend_schema(exclude=True)
class NewUpload(APIView):
    """``POST /uploads``: tus creation, for a session or an access token that may write."""

    write_scope = TokenScope.WRITE

    def post(self, request: Request) -> Response:
        tus.check_version(request.headers.get("Tus-Resumable", ""))
        file = read_new_file(request.headers)
        upload = begin_upload(
            organization=_organization(request, file.organization), user=_user(request), path=file.filename, size=file.size,
            sha256=file.sha256, purpose=file.purpose,
        )  # fmt: skip
        if upload.size == 0 and upload.status == UploadStatus.OPEN:
            finish_upload(upload_id=upload.pk)
            upload.refresh_from_db()
        headers = {"Tus-Resumable": tus.VERSION, "Location": upload_path(upload)}
        if upload.status == UploadStatus.DONE:
            headers["Upload-Offset"] = str(upload.size)
        return Response(status=201, headers=headers | {"Upload-Expires": expires(upload.expires_at)})


@extend_schema(exclude=True)
class MyUploads(APIView):
    """``GET /uploads/mine?organization=acme``: what can be gone on with, after a closed laptop or on another one."""

    def get(self, request: Request) -> Response:
        organization = _organization(request, request.query_params.get("organization", ""))
        check_sender(organization, _user(request))  # a link lets its holder send
        return Response({"uploads": [_shown(upload) for upload in organization.uploads.unfinished()]})


@extend_schema(exclude=True)
class KnownContent(APIView):
    """``POST /uploads/known`` ``{"organization", "sha256": [...]}``: which of these need not be sent."""

    write_scope = TokenScope.WRITE

    def post(self, request: Request) -> Response:
        asked = request.data if isinstance(request.data, dict) else {}
        organization = _organization(request, asked.get("organization"))
        check_sender(organization, _user(request))
        digests = asked.get("sha256")
        if not (isinstance(digests, list) and len(digests) <= MAX_ASKED and all(isinstance(d, str) for d in digests)):
            raise InvalidRequest(_("A list of up to %d SHA-256 digests.") % MAX_ASKED, param="sha256")
        return Response({"known": sorted(has_blobs(organization, digests))})


def _user(request: Request) -> User:
    """Whom the permissions of every view here have let in."""
    assert isinstance(request.user, User)
    return request.user


def _organization(request: Request, slug: Any) -> Organization:
    """Raises NotFound."""
    found = Organization.objects.visible_to(request.user).filter(slug=str(slug or "")).first()
    if found is None:
        raise NotFound(_("There is no such organization."))
    return found


def _shown(upload: Upload) -> dict[str, Any]:
    return {
        "id": str(upload.pk),
        "url": upload_path(upload),
        "path": upload.path,
        "size": upload.size,
        "offset": offset_of(upload),
        "sha256": upload.sha256,
        "purpose": upload.purpose,
        "created_at": upload.created_at,
        "expires_at": upload.expires_at,
    }
