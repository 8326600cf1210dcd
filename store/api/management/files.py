"""``/api/files``: training data of the user's organizations, what was found in it, and its tokens. ``/v1/files`` is the same in OpenAI's words."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.catalog.models import Listing
from store.errors import NotFound
from store.tuning.actions.files import add_file, delete_file, describe_file
from store.tuning.actions.tallies import MAX_LENGTH, MIN_LENGTH, tally_file
from store.tuning.models import DataFile, FilePurpose, FileStatus, Tally, TallyStatus
from store.uploads.models import Purpose, Upload

FILTERS = ("organization", "purpose")


class DataFileSerializer(serializers.ModelSerializer[DataFile]):
    """A file. ``report`` is what was found in it: faults with their lines, lengths, duplicates, samples."""

    id = serializers.CharField(source="public_id")
    organization = serializers.CharField(source="organization.slug")
    # Named, so that the schema has each set of words once.
    purpose = serializers.ChoiceField(FilePurpose.choices)
    status = serializers.ChoiceField(FileStatus.choices)
    format = serializers.CharField()
    mapping = serializers.DictField(child=serializers.CharField())
    report = serializers.DictField()

    class Meta:
        model = DataFile
        fields = (
            "id", "organization", "filename", "purpose", "size", "sha256", "status", "status_details", "format", "mapping", "examples",
            "report", "created_at", "expires_at",
        )  # fmt: skip


class Description(serializers.Serializer[DataFile]):
    """``format`` "" is found out. ``mapping``: in which column, or under which key, a field of the records is."""

    format = serializers.CharField(default="", allow_blank=True, max_length=10)
    mapping = serializers.DictField(child=serializers.CharField(), default=dict)


class NewDataFile(Description):
    """``upload_id``: a complete upload (``POST /uploads``, by tus) of purpose "data"."""

    upload_id = serializers.UUIDField()


class TallySerializer(serializers.ModelSerializer[Tally]):
    """The tokens of a file for a base. ``histogram``: ``[up to so many tokens, examples]``; ``skipped`` examples are left out."""

    base = serializers.CharField(source="release.listing.name")
    digest = serializers.CharField(source="release.digest")
    status = serializers.ChoiceField(TallyStatus.choices)
    histogram = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))

    class Meta:
        model = Tally
        fields = (
            "base", "digest", "max_length", "status", "progress", "error", "examples", "tokens", "trainable_tokens", "truncated",
            "skipped", "longest", "histogram", "created_at",
        )  # fmt: skip


class NewTally(serializers.Serializer[Tally]):
    """``max_length``: tokens of an example; the base's context where it is not given."""

    base = serializers.CharField(max_length=200)
    max_length = serializers.IntegerField(default=None, allow_null=True, min_value=MIN_LENGTH, max_value=MAX_LENGTH)


class DataFileViews(viewsets.GenericViewSet[DataFile]):
    """List, add, look, describe, delete; and count tokens."""

    serializer_class = DataFileSerializer
    pagination_class = NewestFirst
    queryset = DataFile.objects.none()

    @extend_schema(parameters=[OpenApiParameter(name, str) for name in FILTERS])
    def list(self, request: Request) -> Response:
        rows, said = self._seen(), request.query_params
        if said.get("organization"):
            rows = rows.filter(organization__slug=said["organization"])
        if said.get("purpose"):
            rows = rows.filter(purpose=said["purpose"])
        return self.get_paginated_response(DataFileSerializer(self.paginate_queryset(rows), many=True).data)

    @extend_schema(request=NewDataFile, responses={201: DataFileSerializer})
    def create(self, request: Request) -> Response:
        asked = valid(NewDataFile(data=request.data))
        mine = Organization.objects.visible_to(request.user)
        upload = Upload.objects.filter(pk=asked["upload_id"], organization__in=mine, purpose=Purpose.DATA).first()
        if upload is None:
            raise NotFound("There is no such upload.", param="upload_id")
        made = add_file(upload=upload, user=user_of(request), format=asked["format"], mapping=asked["mapping"])
        return self._shown(made, status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, **_address: str) -> Response:
        return Response(DataFileSerializer(self._one()).data)

    @extend_schema(request=Description, responses=DataFileSerializer)
    def partial_update(self, request: Request, **_address: str) -> Response:
        """Says what the records are: the file is read anew."""
        asked = valid(Description(data=request.data))
        return self._shown(describe_file(file=self._one(), user=user_of(request), **asked))

    def destroy(self, request: Request, **_address: str) -> Response:
        delete_file(file=self._one(), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=TallySerializer(many=True))
    def tallies(self, request: Request, **_address: str) -> Response:
        rows = self._one().tallies.select_related("release__listing__organization").order_by("-pk")
        return Response(TallySerializer(rows, many=True).data)

    @extend_schema(request=NewTally, responses={202: TallySerializer})
    def count(self, request: Request, **_address: str) -> Response:
        """Has the tokens counted for a base. Asked again, it says how far that is."""
        asked = valid(NewTally(data=request.data))
        named = Listing.objects.visible_to(request.user).filter(pk__in=Listing.objects.named(asked["base"]))
        base = named.select_related("current_release").first()
        if base is None or base.current_release is None:
            raise NotFound("There is no such model.", param="base")
        length = asked["max_length"] or base.current_release.context_length
        made = tally_file(file=self._one(), release=base.current_release, max_length=length)
        shown = Tally.objects.select_related("release__listing__organization").get(pk=made.pk)
        return Response(TallySerializer(shown).data, status=status.HTTP_202_ACCEPTED)

    def _seen(self) -> QuerySet[DataFile]:
        return DataFile.objects.visible_to(self.request.user).select_related("organization")

    def _one(self) -> DataFile:
        found = self._seen().filter(public_id=self.kwargs["file_id"]).first()
        if found is None:
            raise NotFound("There is no such file.")
        return found

    def _shown(self, made: DataFile, **options: Any) -> Response:
        return Response(DataFileSerializer(self._seen().get(pk=made.pk)).data, **options)
