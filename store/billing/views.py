"""Where Stripe's events arrive; and where people write down what they did about what was not as it should be."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from store.accounts.models import User
from store.billing.inbox import BadSignature, receive
from store.billing.models import Quarantine
from store.billing.quarantines import MAX_WORDS, resolve
from store.errors import StoreError

MAX_EVENT_BYTES = 512 * 1024


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """204 for an event that is kept, new or not; 400 for what is not Stripe's, 413 for what is too long to be read."""
    if int(request.headers.get("content-length") or 0) > MAX_EVENT_BYTES or len(request.body) > MAX_EVENT_BYTES:
        return JsonResponse({"error": "An event is shorter than this."}, status=413)
    try:
        receive(body=request.body, signature=request.headers.get("stripe-signature", ""))
    except BadSignature as error:
        return JsonResponse({"error": error.message}, status=error.status)
    return HttpResponse(status=204)


def resolve_page(request: HttpRequest, user: User, row: Quarantine, context: dict[str, Any]) -> HttpResponse:
    """The form, and what was wrong with it; once it is written the row's own page."""
    words = request.POST.get("words", "")
    shown = context | {"row": row, "title": _("What was done about it"), "words": words, "most": MAX_WORDS}
    if request.method != "POST":
        return render(request, "billing/resolve.html", shown)
    try:
        resolve(row=row, user=user, words=words)
    except StoreError as error:
        return render(request, "billing/resolve.html", shown | {"error": error.message}, status=error.status)
    messages.success(request, _("It is written down."))
    return redirect("admin:billing_quarantine_change", row.pk)
