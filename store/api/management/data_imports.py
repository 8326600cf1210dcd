"""``/api/data-imports``: data sets of another Hub, by their names, on their way to files of training data."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.errors import NotFound
from store.tuning.actions.imports import cancel_data_import, import_of, start_data_import
from store.tuning.models import DataImport, DataImportStatus


class DataImportSerializer(serializers.ModelSerializer[DataImport]):
    """An import. ``file`` is the data file that came of it; ``resolved`` the commit that the revision was."""

    id = serializers.CharField(source="public_id")
    organization = serializers.CharField(source="organization.slug")
    status = serializers.ChoiceField(DataImportStatus.choices)
    file = serializers.CharField(source="file.public_id", allow_null=True, default=None)

    class Meta:
        model = DataImport
        fields = (
            "id", "organization", "endpoint", "repo_id", "config", "split", "revision", "resolved", "most_rows", "status", "rows",
            "size", "error", "file", "created_at", "ended_at",
        )  # fmt: skip


class NewDataImport(serializers.Serializer[DataImport]):
    """``config`` "": the only one there is; ``most_rows``: the first so many, all where it is not given."""

    organization = serializers.SlugField()
    repo_id = serializers.CharField(max_length=200)
    config = serializers.CharField(default="", allow_blank=True, max_length=100)
    split = serializers.CharField(default="train", max_length=100)
    revision = serializers.CharField(default="main", max_length=100)
    most_rows = serializers.IntegerField(default=None, allow_null=True, min_value=1)


class DataImportViews(viewsets.GenericViewSet[DataImport]):
    """List, begin, look, cancel."""

    serializer_class = DataImportSerializer
    pagination_class = NewestFirst
    queryset = DataImport.objects.none()

    @extend_schema(parameters=[OpenApiParameter("organization", str)])
    def list(self, request: Request) -> Response:
        rows = DataImport.objects.visible_to(request.user).select_related("organization", "file")
        if request.query_params.get("organization"):
            rows = rows.filter(organization__slug=request.query_params["organization"])
        return self.get_paginated_response(DataImportSerializer(self.paginate_queryset(rows), many=True).data)

    @extend_schema(request=NewDataImport, responses={201: DataImportSerializer})
    def create(self, request: Request) -> Response:
        asked: dict[str, Any] = dict(valid(NewDataImport(data=request.data)))
        slug = asked.pop("organization")
        organization = Organization.objects.visible_to(request.user).filter(slug=slug).first()
        if organization is None:
            raise NotFound("There is no such organization.", param="organization")
        made = start_data_import(organization=organization, user=user_of(request), **asked)
        return Response(DataImportSerializer(made).data, status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, **address: str) -> Response:
        return Response(DataImportSerializer(import_of(user_of(request), address["import_id"])).data)

    @extend_schema(request=None, responses=DataImportSerializer)
    def cancel(self, request: Request, **address: str) -> Response:
        """Stops it; nothing is kept."""
        user = user_of(request)
        cancelled = cancel_data_import(data_import=import_of(user, address["import_id"]), user=user)
        return Response(DataImportSerializer(import_of(user, cancelled.public_id)).data)
