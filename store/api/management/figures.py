"""``/api/analytics``, for a provider; ``…/service``, ``…/similar``, ``…/lineage`` and ``/api/rankings``, for everybody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from store.api.management.listings import ListingSerializer, organization_of
from store.api.management.of_listing import OfListing, valid
from store.api.management.search import HitSerializer
from store.catalog.categories import CATEGORIES
from store.catalog.models import Listing
from store.discovery.rankings import Ranking, rankings
from store.discovery.related import lineage, similar_to
from store.errors import NotFound
from store.reputation.analytics import MAX_SPAN, AnalyticsRow, analytics, analytics_csv
from store.reputation.service import service_of

DEFAULT_DAYS = 30


class AnalyticsQuery(serializers.Serializer[Any]):
    """The last 30 days by the day, where nothing else is said; ``organization`` is the user's own."""

    organization = serializers.CharField(default=None)
    listing = serializers.CharField(default=None)
    since = serializers.DateTimeField(default=None)
    until = serializers.DateTimeField(default=None)
    by = serializers.ChoiceField(choices=list(MAX_SPAN), default="day")


class AnalyticsSerializer(serializers.Serializer[Any]):
    """Of an hour or day (UTC), or of a listing. Money in nano-dollars, times in milliseconds; null where nothing was measured."""

    time = serializers.DateTimeField(allow_null=True)
    listing = serializers.CharField(allow_blank=True)
    calls = serializers.IntegerField()
    failed = serializers.IntegerField()
    paid_calls = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    charge_nano = serializers.IntegerField()
    revenue_nano = serializers.IntegerField()
    royalty_nano = serializers.IntegerField()
    ttft_p50_ms = serializers.FloatField(allow_null=True)
    ttft_p95_ms = serializers.FloatField(allow_null=True)
    tokens_per_s = serializers.FloatField(allow_null=True)


class AnalyticsView(APIView):
    """``GET /api/analytics``: how the models of an organization were used, and what they brought. Times without a call have no row."""

    @extend_schema(parameters=[AnalyticsQuery], responses=AnalyticsSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(AnalyticsSerializer(_rows(request), many=True).data)


class AnalyticsCsvView(APIView):
    """``GET /api/analytics.csv``: the same, for a spreadsheet."""

    @extend_schema(parameters=[AnalyticsQuery], responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request) -> StreamingHttpResponse:
        return StreamingHttpResponse(analytics_csv(_rows(request)), content_type="text/csv; charset=utf-8")


def _rows(request: Request) -> list[AnalyticsRow]:
    asked = valid(AnalyticsQuery(data=request.query_params))
    organization = organization_of(request, asked["organization"])
    until = asked["until"] or timezone.now()
    return analytics(
        organization=organization, until=until, since=asked["since"] or until - timedelta(days=DEFAULT_DAYS), by=asked["by"],
        listing=_listing_of(organization.slug, asked["listing"]),
    )  # fmt: skip


def _listing_of(organization: str, name: str | None) -> Listing | None:
    """One of the organization's listings, by its full name. Raises NotFound."""
    if name is None:
        return None
    found = Listing.objects.named(name).filter(organization__slug=organization).first()
    if found is None:
        raise NotFound("There is no such model.", param="listing")
    return found


class ServiceSerializer(serializers.Serializer[Any]):
    """``uptime`` is the share of calls that ended without the store's fault; null where there were none."""

    time = serializers.DateTimeField(allow_null=True, default=None)
    calls = serializers.IntegerField()
    uptime = serializers.FloatField(allow_null=True)
    ttft_p50_ms = serializers.FloatField(allow_null=True)
    ttft_p95_ms = serializers.FloatField(allow_null=True)
    tokens_per_s = serializers.FloatField(allow_null=True)


class ServedSerializer(serializers.Serializer[Any]):
    """``whole`` of all the time, ``series`` of each hour (up to two days) or day."""

    whole = ServiceSerializer()
    series = ServiceSerializer(many=True)


class FamilySerializer(serializers.Serializer[Any]):
    """``ancestors``: what it was made from, nearest first; ``descendants``: what was made from it."""

    ancestors = ListingSerializer(many=True)
    descendants = ListingSerializer(many=True)
    has_more = serializers.BooleanField()


DAYS = OpenApiParameter("days", int, description="1 to 90; 30 where it is not said.")


class FigureViews(OfListing[Listing]):
    """What stands beside a listing, for whoever may see it."""

    permission_classes = [AllowAny]
    serializer_class = ServedSerializer
    queryset = Listing.objects.none()

    @extend_schema(parameters=[DAYS], responses=ServedSerializer)
    def service(self, request: Request, **_address: str) -> Response:
        days = request.query_params.get("days", "")
        found = service_of(self.seen(), int(days) if days.isdecimal() and len(days) < 4 else DEFAULT_DAYS)
        series = [
            {**ServiceSerializer(each).data, "time": time} for time, each in zip(found.times, found.series, strict=True)
        ]
        return Response({"whole": ServiceSerializer(found.whole).data, "series": series})

    @extend_schema(responses=HitSerializer(many=True))
    def similar(self, request: Request, **_address: str) -> Response:
        return Response(HitSerializer(similar_to(self.seen()), many=True).data)

    @extend_schema(responses=FamilySerializer)
    def family(self, request: Request, **_address: str) -> Response:
        found = lineage(self.seen(), user=request.user)
        shown = {
            "ancestors": found.ancestors,
            "descendants": [child for _generation, child in found.descendants],
            "has_more": found.has_more,
        }
        return Response(FamilySerializer(shown).data)


class RankingQuery(serializers.Serializer[Any]):
    """In all categories, where none is named."""

    category = serializers.ChoiceField(choices=list(CATEGORIES), default="")


class RankingView(APIView):
    """``GET /api/rankings/{kind}``: the listings that lead."""

    permission_classes = [AllowAny]

    @extend_schema(
        parameters=[RankingQuery, OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=Ranking.values)],
        responses=HitSerializer(many=True),
    )
    def get(self, request: Request, kind: str) -> Response:
        if kind not in Ranking.values:
            raise NotFound("There is no such ranking.")
        category = valid(RankingQuery(data=request.query_params))["category"]
        return Response(HitSerializer(rankings(kind, category), many=True).data)
