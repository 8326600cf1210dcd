"""An image of a model card, served from the release's own files."""

from __future__ import annotations

from csp.decorators import csp_replace
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from store.console.card_image import image_blob, read_image

FOREVER = "private, max-age=31536000, immutable"  # a revision's files never change


@require_safe
@csp_replace({"sandbox": []})  # type: ignore[arg-type] # of any view
def card_image(request: HttpRequest, organization: str, slug: str, revision: str, path: str) -> HttpResponse:
    """Only what is an image by its own bytes; its type is said, and browsers are told not to guess another."""
    blob = image_blob(request.user, f"{organization}/{slug}", revision, path)
    found = read_image(blob) if blob else None
    if found is None:
        raise Http404
    media_type, data = found
    return HttpResponse(data, content_type=media_type, headers={"Cache-Control": FOREVER})
