"""Webhooks: list, add, change, switch off and on, rotate, delete; what was sent, and to send it again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.console.context import role_in
from store.console.forms.webhooks import WebhookForm
from store.console.hooks import SNIPPETS, delivery_page, endpoints_of, export_line, payload_text
from store.console.pages import MemberRequest, console_page
from store.errors import StoreError
from store.webhooks import actions
from store.webhooks.actions.endpoints import OLD_SECRET_HOURS, WEBHOOK_KEEPERS
from store.webhooks.models import Delivery


@console_page
def webhooks(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The organization's webhooks, and a new one, whose secret is the answer to the form and never shown again."""
    form = WebhookForm(request.POST or None)
    if form.is_valid():
        try:
            issued = actions.create_endpoint(organization=organization, user=request.user, **form.terms())
            return _show_secret(request, issued)
        except StoreError as error:
            form.refuse(error)
    may_keep = role_in(organization, request.user) in WEBHOOK_KEEPERS
    shown = {"form": form, "endpoints": endpoints_of(organization), "may_keep": may_keep}
    return render(request, "console/webhooks.html", shown, status=422 if form.errors else 200)


@console_page
def webhook(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """One webhook: what was sent to it, and the form to change it."""
    endpoint = get_object_or_404(endpoints_of(organization), pk=pk)
    form = WebhookForm.of(endpoint)
    if request.method == "POST":
        form = WebhookForm(request.POST)
        if form.is_valid():
            try:
                actions.update_endpoint(endpoint=endpoint, user=request.user, **form.terms())
                messages.success(request, _("The webhook was changed."))
                return redirect("console:webhook", pk=pk)
            except StoreError as error:
                form.refuse(error)
    before = request.GET.get("before", "")
    page = delivery_page(endpoint, before=int(before) if before.isascii() and before.isdigit() else None)
    may_keep = role_in(organization, request.user) in WEBHOOK_KEEPERS
    shown = {"endpoint": endpoint, "form": form, "page": page, "is_older": bool(before), "may_keep": may_keep}
    return render(request, "console/webhook.html", shown, status=422 if form.errors else 200)


@require_POST
@console_page
def rotate(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """A new secret, shown once."""
    endpoint = get_object_or_404(organization.webhook_endpoints, pk=pk)
    return _show_secret(request, actions.rotate_secret(endpoint=endpoint, user=request.user))


@require_POST
@console_page
def switch(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Off or on, as the button says."""
    endpoint = get_object_or_404(organization.webhook_endpoints, pk=pk)
    if request.POST.get("to") == "on":
        actions.enable_endpoint(endpoint=endpoint, user=request.user)
        messages.success(request, _("The webhook is switched on. What waited is sent now."))
    else:
        actions.disable_endpoint(endpoint=endpoint, user=request.user)
        messages.success(request, _("The webhook is switched off."))
    return redirect("console:webhook", pk=pk)


@require_POST
@console_page
def test(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Sends a test, and shows what comes of it."""
    endpoint = get_object_or_404(organization.webhook_endpoints, pk=pk)
    delivery = actions.send_test(endpoint=endpoint, user=request.user)
    return redirect("console:webhook-delivery", pk=delivery.pk)


@require_POST
@console_page
def delete(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """The end of a webhook."""
    endpoint = get_object_or_404(organization.webhook_endpoints, pk=pk)
    actions.delete_endpoint(endpoint=endpoint, user=request.user)
    messages.success(request, _("The webhook is deleted."))
    return redirect("console:webhooks")


@console_page
def delivery(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """One event on its way to one webhook. Asked for by htmx while it is under way, it is the part that changes."""
    found = _delivery_of(organization, pk)
    may_keep = role_in(organization, request.user) in WEBHOOK_KEEPERS
    shown = {"delivery": found, "endpoint": found.endpoint, "may_keep": may_keep}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "console/_delivery.html", shown)
    return render(request, "console/delivery.html", {**shown, "payload": payload_text(found)})


@require_POST
@console_page
def redeliver(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Sends it again."""
    actions.redeliver(delivery=_delivery_of(organization, pk), user=request.user)
    return redirect("console:webhook-delivery", pk=pk)


def _delivery_of(organization: Organization, pk: int) -> Delivery:
    deliveries = Delivery.objects.filter(endpoint__organization=organization)
    return get_object_or_404(deliveries.select_related("event", "endpoint__organization"), pk=pk)


def _show_secret(request: MemberRequest, issued: actions.IssuedEndpoint) -> HttpResponse:
    shown = {
        "endpoint": issued.endpoint,
        "secret": issued.secret,
        "export": export_line(issued.secret),
        "snippets": SNIPPETS,
        "old_hours": OLD_SECRET_HOURS if issued.endpoint.old_until else None,
    }
    return render(request, "console/webhook_secret.html", shown)
