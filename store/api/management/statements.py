"""``/api/statements`` and ``/api/royalties``: what came into the earnings of the user's organizations, and what left them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, viewsets
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from store.accounts.models import Organization
from store.api.management.listings import organization_of
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.api.management.payouts import ORGANIZATION
from store.ledger.models import Transfer, TransferKind
from store.payouts.accounts import require_cashier
from store.payouts.statements.period import parse_period
from store.payouts.statements.responses import months_of, statement_response
from store.payouts.statements.rows import wallet_id_of
from store.payouts.statements.royalties import royalties_of
from store.payouts.statements.summary import summary


class StatementMonthSerializer(serializers.Serializer[Any]):
    """``period`` names it in addresses: ``/api/statements/{period}.csv``."""

    period = serializers.CharField(source="name")
    first = serializers.DateField()
    last = serializers.DateField()


class StatementLineSerializer(serializers.Serializer[Any]):
    """One kind, of one model; ``listing`` is empty for others' private ones. Nano-dollars."""

    kind = serializers.CharField()
    listing = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField()
    tokens = serializers.IntegerField()
    charge_nano = serializers.IntegerField()
    amount_nano = serializers.IntegerField()


class StatementSummarySerializer(serializers.Serializer[Any]):
    """``closing_nano`` = ``opening_nano`` + the amounts of the lines."""

    opening_nano = serializers.IntegerField()
    closing_nano = serializers.IntegerField()
    lines = StatementLineSerializer(many=True)


class StatementViews(viewsets.GenericViewSet[Any]):
    """The months, and any time in sum: ``2026-11``, or ``2026-11-03_2026-11-09``."""

    serializer_class = StatementMonthSerializer
    pagination_class = None
    queryset = Transfer.objects.none()

    @extend_schema(parameters=[ORGANIZATION], responses=StatementMonthSerializer(many=True))
    def list(self, request: Request) -> Response:
        return Response(StatementMonthSerializer(months_of(_mine(request)), many=True).data)

    @extend_schema(parameters=[ORGANIZATION], responses=StatementSummarySerializer)
    def retrieve(self, request: Request, period: str) -> Response:
        return Response(StatementSummarySerializer(summary(_mine(request), parse_period(period))).data)


class StatementFileView(APIView):
    """``GET /api/statements/{period}.{extension}``: every run as csv or parquet, the sums as pdf."""

    @extend_schema(
        parameters=[
            ORGANIZATION,
            OpenApiParameter("extension", str, OpenApiParameter.PATH, enum=["csv", "parquet", "pdf"]),
        ],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, period: str, extension: str) -> HttpResponseBase:
        return statement_response(_mine(request), period, extension)


class RoyaltySerializer(serializers.Serializer[Any]):
    """A royalty of one run or training; ``listing`` is empty for others' private models. Nano-dollars."""

    time = serializers.DateTimeField()
    listing = serializers.CharField(allow_blank=True)
    run_id = serializers.UUIDField(allow_null=True)
    job_id = serializers.CharField(allow_null=True)
    charge_nano = serializers.IntegerField()
    royalty_nano = serializers.IntegerField()


class RoyaltyQuery(serializers.Serializer[Any]):
    """All, where no time is said."""

    organization = serializers.CharField(default=None)
    since = serializers.DateTimeField(default=None)
    until = serializers.DateTimeField(default=None)


class RoyaltyView(ListAPIView[Any]):
    """``GET /api/royalties``: what models that others made from one's own have brought, run by run. By listing: ``/api/statements``."""

    serializer_class = RoyaltySerializer
    pagination_class = NewestFirst
    queryset = Transfer.objects.none()

    @extend_schema(parameters=[RoyaltyQuery])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        asked = valid(RoyaltyQuery(data=request.query_params))
        found = self._earned(_mine(request), asked)
        rows = royalties_of(_mine(request), self.paginate_queryset(found) or [])
        return self.get_paginated_response(RoyaltySerializer(rows, many=True).data)

    def _earned(self, organization: Organization, asked: dict[str, Any]) -> QuerySet[Transfer]:
        found = Transfer.objects.filter(credit_id=wallet_id_of(organization), kind=TransferKind.ROYALTY)
        if asked["since"]:
            found = found.filter(created_at__gte=asked["since"])
        return found.filter(created_at__lt=asked["until"]) if asked["until"] else found


def _mine(request: Request) -> Organization:
    organization = organization_of(request, request.query_params.get("organization"))
    require_cashier(organization, user_of(request))
    return organization
