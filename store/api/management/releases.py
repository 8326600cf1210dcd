"""``/api/listings/{organization}/{slug}/releases``, ``…/submissions``, ``…/imports``: from files to what is called."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.of_listing import OfListing, user_of, valid
from store.catalog.actions.imports import cancel_import, start_import
from store.catalog.actions.repositories import commit_at
from store.catalog.actions.submissions import cancel_submission, publish_submission, submit_commit
from store.catalog.models import ImportJob, Measurement, MeasurementStatus, Release, ReleaseFile, Submission
from store.errors import NotFound


class MeasurementSerializer(serializers.ModelSerializer[Measurement]):
    """What a worker of the store measured. Perplexities are per token; ``ttft_ms`` is a median; tokens per second are in all."""

    class Meta:
        model = Measurement
        fields = (
            "status", "progress", "step", "error", "hardware", "software", "reference", "perplexity", "held_out_perplexity", "ttft_ms",
            "tokens_per_s_1", "tokens_per_s_8", "tokens_per_s_32", "memory_bytes", "sample", "measured_at",
        )  # fmt: skip


class FileSerializer(serializers.ModelSerializer[ReleaseFile]):
    """A file by its path and SHA-256; ``size`` in bytes."""

    sha256 = serializers.CharField(source="blob_id")
    size = serializers.IntegerField(source="blob.size")

    class Meta:
        model = ReleaseFile
        fields = ("path", "sha256", "size")


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    """A release, which never changes, and its newest complete measurement (null where there is none)."""

    base = serializers.SlugRelatedField[Release](slug_field="digest", read_only=True)
    measured = serializers.SerializerMethodField()

    class Meta:
        model = Release
        fields = (
            "number", "digest", "task", "architecture", "parameters", "context_length", "vocab_size", "size", "base", "created_at", "measured",
        )  # fmt: skip

    @extend_schema(responses=MeasurementSerializer)
    def get_measured(self, release: Release) -> dict[str, Any] | None:
        found = release.measurements.filter(status=MeasurementStatus.DONE).order_by("-pk").first()
        return dict(MeasurementSerializer(found).data) if found else None


class ReleaseViews(OfListing[Release]):
    """List; one release by its number, with its files."""

    permission_classes = [AllowAny]
    serializer_class = ReleaseSerializer
    queryset = Release.objects.none()

    @extend_schema(responses=ReleaseSerializer(many=True))
    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self._releases())

    def retrieve(self, request: Request, number: int, **_address: str) -> Response:
        release = self._releases().filter(number=number).first()
        if release is None:
            raise NotFound("There is no such release.")
        files = release.files.select_related("blob").order_by("path")
        return Response({**ReleaseSerializer(release).data, "files": FileSerializer(files, many=True).data})

    def _releases(self) -> Any:
        """A stranger sees the release that is for sale; its organization sees them all."""
        listing = self.seen()
        is_own = Organization.objects.visible_to(self.request.user).filter(pk=listing.organization_id).exists()
        shown = listing.releases.all() if is_own else listing.releases.filter(pk=listing.current_release_id or 0)
        return shown.select_related("base")


class SubmissionSerializer(serializers.ModelSerializer[Submission]):
    """A commit on its way to be a release. ``problems`` are ``{"path", "code", "message"}``, each says how to mend it."""

    commit = serializers.SlugRelatedField[Any](slug_field="oid", read_only=True)
    digest = serializers.CharField(source="release.digest", default=None)
    measurement = MeasurementSerializer()

    class Meta:
        model = Submission
        fields = (
            "id", "status", "commit", "digest", "problems", "reason", "measurement", "created_at", "updated_at", "decided_at",
        )  # fmt: skip


class NewSubmission(serializers.Serializer[Submission]):
    """``revision``: a branch, a tag or a commit; main where it is not named."""

    revision = serializers.CharField(default="main", max_length=100)


class SubmissionViews(OfListing[Submission]):
    """List, submit, look, publish, cancel."""

    serializer_class = SubmissionSerializer
    queryset = Submission.objects.none()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self._own_rows())

    def retrieve(self, request: Request, **_address: str) -> Response:
        return self._shown(self.one(self._own_rows()))

    @extend_schema(request=NewSubmission, responses={201: SubmissionSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        """Has a commit checked and measured; one that is open is cancelled for it."""
        listing = self.own()
        revision = valid(NewSubmission(data=request.data))["revision"]
        commit = commit_at(listing, revision)
        if commit is None:
            raise NotFound("There is no such revision.", param="revision")
        made = submit_commit(listing=listing, user=user_of(request), commit=commit)
        return self._shown(made, status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=SubmissionSerializer)
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, **_address: str) -> Response:
        """Puts a submission that is ready on the shelf, or before a moderator, as the store is set up."""
        return self._shown(publish_submission(submission=self.one(self._own_rows()), user=user_of(request)))

    @extend_schema(request=None, responses=SubmissionSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **_address: str) -> Response:
        return self._shown(cancel_submission(submission=self.one(self._own_rows()), user=user_of(request)))

    def _own_rows(self) -> Any:
        return self.own().submissions.select_related("commit", "release", "measurement")

    def _shown(self, submission: Submission, http_status: int = status.HTTP_200_OK) -> Response:
        return Response(SubmissionSerializer(submission).data, status=http_status)


class ImportSerializer(serializers.ModelSerializer[ImportJob]):
    """A model on its way from another Hub into a commit on main."""

    commit = serializers.SlugRelatedField[Any](slug_field="oid", read_only=True)

    class Meta:
        model = ImportJob
        fields = (
            "id", "repo_id", "revision", "resolved", "status", "done_bytes", "total_bytes", "error", "commit", "created_at", "ended_at",
        )  # fmt: skip


class NewImport(serializers.Serializer[ImportJob]):
    """``repo_id`` is ``org/name`` there."""

    repo_id = serializers.CharField(max_length=200)
    revision = serializers.CharField(default="main", max_length=100)


class ImportViews(OfListing[ImportJob]):
    """List, start, look, cancel."""

    serializer_class = ImportSerializer
    queryset = ImportJob.objects.none()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self.own().imports.select_related("commit"))

    def retrieve(self, request: Request, **_address: str) -> Response:
        return Response(ImportSerializer(self.one(self.own().imports.all())).data)

    @extend_schema(request=NewImport, responses={201: ImportSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        terms = valid(NewImport(data=request.data))
        made = start_import(listing=self.own(), user=user_of(request), **terms)
        return Response(ImportSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=ImportSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **_address: str) -> Response:
        job = cancel_import(job=self.one(self.own().imports.all()), user=user_of(request))
        return Response(ImportSerializer(job).data)
