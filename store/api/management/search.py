"""``/api/search``: public listings by words, facets and figures."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from store.catalog.categories import CATEGORIES
from store.discovery.facets import FACETS, RANGES
from store.discovery.models import ListingIndex
from store.discovery.query import MAX_PER_PAGE, PER_PAGE, read_query
from store.discovery.search import search
from store.discovery.sorts import Sort


class HitSerializer(serializers.ModelSerializer[ListingIndex]):
    """A listing as search knows it. Prices are nano-dollars per million tokens, figures are the store's own measurements."""

    base = serializers.CharField(source="base_name")

    class Meta:
        model = ListingIndex
        fields = (
            "name", "title", "summary", "status", "licence", "tags", "languages", "task", "category", "weights", "architecture", "base",
            "base_relation", "parameters", "size", "context_length", "input_nano", "cached_input_nano", "output_nano", "request_nano",
            "perplexity", "ttft_ms", "tokens_per_s_1", "tokens_per_s_8", "tokens_per_s_32", "hardware", "rating", "rating_count", "uptime",
            "published_at",
        )  # fmt: skip


class ChoiceSerializer(serializers.Serializer[Any]):
    """A value of a facet, and how many listings would be found with it."""

    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field by this name
    count = serializers.IntegerField()
    chosen = serializers.BooleanField()


class FacetSerializer(serializers.Serializer[Any]):
    """``is_exact`` false: the counts are lower bounds."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field by this name
    is_exact = serializers.BooleanField()
    choices = ChoiceSerializer(many=True)


class SearchSerializer(serializers.Serializer[Any]):
    """``total_is_exact`` false: there are more. ``corrected``: the words that were searched for, where some were mistyped."""

    total = serializers.IntegerField()
    total_is_exact = serializers.BooleanField()
    corrected = serializers.CharField(allow_blank=True)
    next_cursor = serializers.CharField(allow_null=True)
    results = HitSerializer(many=True, source="items")
    facets = FacetSerializer(many=True)


PARAMETERS = [
    OpenApiParameter("q", str, description="Words; in any language, mistyped ones are mended."),
    OpenApiParameter("sort", str, enum=Sort.values),
    OpenApiParameter("cursor", str, description="The next_cursor of the page before."),
    OpenApiParameter("limit", int, description=f"Results of a page, {MAX_PER_PAGE} at most."),
    *(
        OpenApiParameter(name, str, many=True, description=f"One or more: {kind.label}.")
        for name, kind in FACETS.items()
    ),
    *(OpenApiParameter(f"{name}_{end}", float) for name in RANGES for end in ("min", "max")),
]


class SearchView(APIView):
    """``GET /api/search``. What makes no sense in a query is left out: there is none that is an error."""

    permission_classes = [AllowAny]

    @extend_schema(parameters=PARAMETERS, responses=SearchSerializer)
    def get(self, request: Request) -> Response:
        asked = request.query_params
        limit = asked.get("limit", "")
        query = read_query(
            dict(asked.lists()), per_page=int(limit) if limit.isdecimal() and len(limit) < 4 else PER_PAGE
        )
        return Response(SearchSerializer(search(query)).data)


class CategorySerializer(serializers.Serializer[Any]):
    """``slug`` is the value of the facet ``category``."""

    slug = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field by this name


class CategoryView(APIView):
    """``GET /api/categories``."""

    permission_classes = [AllowAny]

    @extend_schema(responses=CategorySerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(CategorySerializer(CATEGORIES.values(), many=True).data)
