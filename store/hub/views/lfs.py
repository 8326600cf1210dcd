"""Git LFS: what is to be sent, whether it came, and that all of its parts are there."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from store.accounts.models import TokenScope
from store.errors import InvalidRequest
from store.hub import lfs
from store.hub.reads import open_repository
from store.hub.rendering import hub_view, read_json
from store.uploads.actions import finish_upload


@hub_view("POST")
def batch(request: HttpRequest, repo: str) -> HttpResponse:
    """Downloads are plain requests of the Hub protocol, so only uploads are asked for here."""
    repository = open_repository(request, repo, write=True)
    body = read_json(request)
    if body.get("operation") != "upload":
        raise InvalidRequest("Download with `hf download`: Git LFS is for uploads here.", param="operation")
    transfers = body.get("transfers") or ["basic"]
    in_parts = isinstance(transfers, list) and "multipart" in transfers
    user = repository.caller.require(TokenScope.WRITE)
    objects = lfs.upload_actions(request, repository, user, lfs.read_objects(body), in_parts=in_parts)
    answer = {"transfer": "multipart" if in_parts else "basic", "objects": objects, "hash_algo": "sha256"}
    return JsonResponse(answer, content_type=lfs.MEDIA_TYPE)


@hub_view("POST")
def verify(request: HttpRequest, repo: str) -> HttpResponse:
    repository = open_repository(request, repo, write=True)
    lfs.kept(repository, lfs.read_object(read_json(request)))
    return JsonResponse({}, content_type=lfs.MEDIA_TYPE)


@hub_view("POST")
def complete(request: HttpRequest, repo: str, signed: str) -> HttpResponse:
    """All parts are there. Clients send no token with this: who has the link may say so."""
    finish_upload(upload_id=lfs.read_signed_name(signed))
    return JsonResponse({}, content_type=lfs.MEDIA_TYPE)
