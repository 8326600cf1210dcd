"""A file that was dropped on the page of a new training."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.console.pages import MemberRequest, console_page
from store.errors import StoreError
from store.tuning.actions.files import add_file
from store.uploads.models import Purpose, Upload, UploadStatus


@require_POST
@console_page
def arrived(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Makes a data file of what was sent by ``/uploads`` with the purpose "data"; answers with its id and name."""
    sha256, name = request.POST.get("sha256", ""), request.POST.get("name", "")
    sent = Upload.objects.filter(
        organization=organization, user=request.user, purpose=Purpose.DATA, status=UploadStatus.DONE, sha256=sha256, path=name,
    )  # fmt: skip
    upload = sent.order_by("-created_at").first()
    if upload is None:
        return _refused(_("The file has not arrived whole."), 404)
    try:
        file = add_file(upload=upload, user=request.user)
    except StoreError as error:
        return _refused(error.message, error.status)
    return JsonResponse({"id": file.public_id, "name": f"{file.filename} · {file.get_status_display()}"})


def _refused(message: str, status: int) -> JsonResponse:
    return JsonResponse({"error": {"message": message}}, status=status)
