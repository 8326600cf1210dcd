"""``/api/invoices``: receipts, credit notes and monthly statements of the user's organizations."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.pages import NewestFirst
from store.billing.models import Paper, PaperKind
from store.billing.papers.sheet import as_pdf


class PaperSerializer(serializers.ModelSerializer[Paper]):
    """``content`` is all that stands on it, as of when it was issued; amounts are nano-dollars."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    content = serializers.DictField()

    class Meta:
        model = Paper
        fields = ("number", "organization", "kind", "mode", "period", "total_nano", "issued_at", "content")


class InvoiceViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Paper]):
    """List, retrieve, fetch as PDF."""

    serializer_class = PaperSerializer
    pagination_class = NewestFirst
    queryset = Paper.objects.none()
    lookup_field = "number"

    def get_queryset(self) -> QuerySet[Paper]:
        rows = Paper.objects.visible_to(self.request.user).select_related("organization")
        kind = self.request.query_params.get("kind")
        return rows.filter(kind=kind) if kind in PaperKind.values else rows

    @extend_schema(parameters=[OpenApiParameter("kind", str, enum=PaperKind.values)])
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY})
    def pdf(self, request: Request, number: str) -> HttpResponse:
        """``GET /api/invoices/{number}.pdf``."""
        return HttpResponse(as_pdf(self.get_object()), content_type="application/pdf")
