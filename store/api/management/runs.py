"""``/api/runs``: what was called and what it cost."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import mixins, serializers, viewsets

from store.accounts.models import Organization
from store.api.management.pages import NewestFirst
from store.catalog.models import Listing
from store.keys.models import ApiKey
from store.runs.models import Run


class RunSerializer(serializers.ModelSerializer[Run]):
    """A call of one of the user's organizations. Neither prompt nor answer is kept, so neither is here."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    listing: serializers.StringRelatedField[Listing] = serializers.StringRelatedField()
    api_key: serializers.SlugRelatedField[ApiKey] = serializers.SlugRelatedField(slug_field="prefix", read_only=True)

    class Meta:
        model = Run
        fields = (
            "id", "request_id", "organization", "listing", "api_key", "endpoint", "is_stream", "status", "prompt_tokens", "cached_tokens",
            "max_tokens", "output_tokens", "charge_nano", "finish_reason", "error_code", "attempts", "opened_at", "first_token_ms",
            "settled_at",
        )  # fmt: skip


class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Run]):
    """List and retrieve."""

    serializer_class = RunSerializer
    pagination_class = NewestFirst
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Run]:
        runs = Run.objects.visible_to(self.request.user).newest_first()
        return runs.select_related("organization", "listing__organization", "api_key")
