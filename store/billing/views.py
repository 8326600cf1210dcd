"""Where Stripe's events arrive."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from store.billing.inbox import BadSignature, receive

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
