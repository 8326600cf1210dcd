"""``/api/topups`` and ``/api/auto-topups``: credit that was bought, and credit that is bought by itself."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.listings import organization_of
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.billing.automatic import set_auto_topup, switch_off
from store.billing.models import AutoTopup, RefundOrder, Topup, TopupStatus
from store.billing.refunding import ask_refund
from store.errors import NotFound


class TopupSerializer(serializers.ModelSerializer[Topup]):
    """Nano-dollars; ``tax_nano`` is paid besides, and is no credit."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )

    class Meta:
        model = Topup
        fields = ("id", "organization", "amount_nano", "tax_nano", "mode", "status", "is_automatic", "created_at")


class RefundOrderSerializer(serializers.ModelSerializer[RefundOrder]):
    """Nano-dollars, tax in it."""

    class Meta:
        model = RefundOrder
        fields = ("id", "amount_nano", "status", "reason", "error", "created_at", "ended_at")


class AutoTopupTerms(serializers.Serializer[AutoTopup]):
    """Nano-dollars; the rules are those of the verb."""

    threshold_nano = serializers.IntegerField()
    amount_nano = serializers.IntegerField()
    month_nano = serializers.IntegerField()


class AutoTopupSerializer(serializers.ModelSerializer[AutoTopup]):
    """``off_reason`` says why it was switched off, where nobody did."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )

    class Meta:
        model = AutoTopup
        fields = (
            "organization", "is_on", "threshold_nano", "amount_nano", "month_nano", "failures", "off_reason", "due_at", "updated_at",
        )  # fmt: skip


class TopupViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Topup]):
    """List, retrieve."""

    serializer_class = TopupSerializer
    pagination_class = NewestFirst
    queryset = Topup.objects.none()

    def get_queryset(self) -> QuerySet[Topup]:
        mine = Organization.objects.visible_to(self.request.user)
        rows = Topup.objects.filter(organization__in=mine).select_related("organization")
        wanted = self.request.query_params.get("status")
        return rows.filter(status=wanted) if wanted in TopupStatus.values else rows

    @extend_schema(parameters=[OpenApiParameter("status", str, enum=TopupStatus.values)])
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(request=None, responses={201: RefundOrderSerializer})
    def refund(self, request: Request, pk: str) -> Response:
        """``POST /api/topups/{id}/refund``: gives back what is not spent, within the days in which that can be had."""
        order = ask_refund(topup=self.get_object(), user=user_of(request))
        return Response(RefundOrderSerializer(order).data, status=status.HTTP_201_CREATED)


class AutoTopupViews(viewsets.GenericViewSet[Any]):
    """Look, switch on, switch off."""

    serializer_class = AutoTopupSerializer
    queryset = AutoTopup.objects.none()

    def retrieve(self, request: Request, organization: str) -> Response:
        found = AutoTopup.objects.filter(organization=organization_of(request, organization)).first()
        if found is None:
            raise NotFound("Nothing is bought by itself here.")
        return Response(AutoTopupSerializer(found).data)

    @extend_schema(request=AutoTopupTerms, responses=AutoTopupSerializer)
    def update(self, request: Request, organization: str) -> Response:
        terms = valid(AutoTopupTerms(data=request.data))
        made = set_auto_topup(organization=organization_of(request, organization), user=user_of(request), **terms)
        return Response(AutoTopupSerializer(made).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, organization: str) -> Response:
        switch_off(organization=organization_of(request, organization), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
