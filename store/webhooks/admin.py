"""Webhooks as the store sees them: where they go and what came of it, never a secret and never what an event says."""

from __future__ import annotations

from django.contrib import admin

from store.staff.read_only import ReadOnlyAdmin
from store.webhooks.models import Delivery, WebhookEndpoint


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    list_display = ("url", "organization", "created_by", "succeeded_at", "disabled_at", "disabled_reason")
    list_filter = ("disabled_reason", "created_at")
    list_select_related = ("organization", "created_by")
    search_fields = ("url", "organization__slug", "created_by__email")
    fields = (
        "url", "organization", "description", "event_types", "created_by", "created_at", "enabled_at", "disabled_at", "disabled_reason",
        "tried_at", "succeeded_at", "old_until",
    )  # fmt: skip # named one by one: a secret is nobody's to look at


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("event", "endpoint", "status", "attempts", "due_at", "response_status", "duration_ms")
    list_filter = ("status", "created_at")
    list_select_related = ("event", "endpoint")
    search_fields = ("event__public_id", "endpoint__url", "endpoint__organization__slug")
    fields = (
        "event", "endpoint", "status", "attempts", "retries", "due_at", "created_at", "tried_at", "delivered_at", "response_status",
        "error", "duration_ms",
    )  # fmt: skip
