"""``/api/tuning``: trainings of the user's organizations, quoted, asked for and followed. ``/v1/fine_tuning`` is the same in OpenAI's words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import TokenScope
from store.api.management.listings import organization_of
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.catalog.models import Listing
from store.errors import NotFound
from store.tuning.actions.jobs import cancel_job, create_job, pause_job, resume_job
from store.tuning.actions.quoting import quote_job
from store.tuning.errors import JobNotFound
from store.tuning.models import (
    Adaptation,
    DataFile,
    JobStatus,
    TuneCheckpoint,
    TuneEvent,
    TuneJob,
    TuneMethod,
    TuneSample,
)
from store.tuning.wishes import Wish

MOST_POINTS = 2000
FILTERS = ("organization", "status", "method", "base")


class JobSerializer(serializers.ModelSerializer[TuneJob]):
    """A training. Amounts are nano-dollars; ``position`` is its place in the queue, from 1."""

    id = serializers.CharField(source="public_id")
    organization = serializers.CharField(source="organization.slug")
    base = serializers.CharField(source="base_listing.name", default=None)
    base_digest = serializers.CharField(source="base.digest", default=None)
    training_file = serializers.CharField(source="training_file.public_id")
    validation_file = serializers.CharField(source="validation_file.public_id", default=None)
    result = serializers.CharField(source="result_listing.name", default=None)
    result_file = serializers.CharField(source="result_file.public_id", default=None)
    held_nano = serializers.IntegerField()
    position = serializers.SerializerMethodField()

    class Meta:
        model = TuneJob
        fields = (
            "id", "organization", "status", "method", "adaptation", "base", "base_digest", "training_file", "validation_file", "suffix",
            "model_name", "metadata", "asked", "hyper", "shape", "sample_prompts", "price_nano", "quote_tokens", "held_nano",
            "trained_tokens", "charged_tokens", "charge_nano", "position", "stage", "step", "steps", "epoch_done", "eta_at", "notes",
            "perplexity_before", "perplexity_after", "best_step", "error_code", "error_message", "error_param", "result", "result_file",
            "created_at", "started_at", "finished_at",
        )  # fmt: skip

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_position(self, job: TuneJob) -> int | None:
        return job.position() if job.status == JobStatus.QUEUED else None


class NewJob(serializers.Serializer[TuneJob]):
    """What to train. ``base`` is left out for a model from scratch; what is left out of ``hyper`` is computed."""

    organization = serializers.SlugField(required=False)
    base = serializers.CharField(default=None, allow_null=True, max_length=200)
    training_file = serializers.CharField(max_length=40)
    validation_file = serializers.CharField(default=None, allow_null=True, max_length=40)
    method = serializers.ChoiceField(TuneMethod.choices, default=TuneMethod.SUPERVISED)
    adaptation = serializers.ChoiceField(Adaptation.choices, default=Adaptation.LORA)
    hyper = serializers.DictField(default=dict)
    shape = serializers.DictField(default=dict)
    sample_prompts = serializers.ListField(child=serializers.CharField(), default=list)
    suffix = serializers.CharField(default="", allow_blank=True, max_length=64)
    metadata = serializers.DictField(child=serializers.CharField(allow_blank=True), default=dict)


class QuoteSerializer(serializers.Serializer[Any]):
    """``is_counted`` false: the tokens are still being counted, and there is no amount yet. ``amount_nano`` is what would be held."""

    is_counted = serializers.BooleanField()
    price_nano = serializers.IntegerField()
    commission_ppm = serializers.IntegerField()
    royalty_ppm = serializers.IntegerField()
    hyper = serializers.DictField(allow_null=True)
    shape = serializers.DictField(allow_null=True)
    examples = serializers.IntegerField()
    file_tokens = serializers.IntegerField()
    truncated = serializers.IntegerField()
    steps = serializers.IntegerField()
    tokens = serializers.IntegerField()
    amount_nano = serializers.IntegerField()


class EventSerializer(serializers.ModelSerializer[TuneEvent]):
    """A line of a job's log."""

    id = serializers.CharField(source="public_id")

    class Meta:
        model = TuneEvent
        fields = ("id", "level", "type", "message", "data", "created_at")


class CheckpointSerializer(serializers.ModelSerializer[TuneCheckpoint]):
    """A model that a job has left on its way, and the name that calls it."""

    id = serializers.CharField(source="public_id")
    model_name = serializers.CharField()

    class Meta:
        model = TuneCheckpoint
        fields = (
            "id", "step", "model_name", "trained_tokens", "loss", "val_loss", "accuracy", "val_accuracy", "is_best", "created_at",
        )  # fmt: skip


class SampleSerializer(serializers.ModelSerializer[TuneSample]):
    """What the model answered after ``step`` steps; 0 is the base."""

    class Meta:
        model = TuneSample
        fields = ("step", "number", "prompt", "answer")


class PointSerializer(serializers.Serializer[Any]):
    """The numbers of a step, or means of several, of which ``step`` is the last."""

    step = serializers.IntegerField()
    loss = serializers.FloatField(allow_null=True)
    loss_low = serializers.FloatField(allow_null=True)
    loss_high = serializers.FloatField(allow_null=True)
    val_loss = serializers.FloatField(allow_null=True)
    learning_rate = serializers.FloatField(allow_null=True)
    grad_norm = serializers.FloatField(allow_null=True)
    tokens_per_s = serializers.FloatField(allow_null=True)
    memory_bytes = serializers.FloatField(allow_null=True)
    accuracy = serializers.FloatField(allow_null=True)
    val_accuracy = serializers.FloatField(allow_null=True)


class PointsAsked(serializers.Serializer[Any]):
    """How many points at most."""

    most = serializers.IntegerField(default=500, min_value=1, max_value=MOST_POINTS)


class JobViews(viewsets.GenericViewSet[TuneJob]):
    """List, quote, create, look, cancel, pause, resume; and what a job leaves behind."""

    serializer_class = JobSerializer
    pagination_class = NewestFirst
    queryset = TuneJob.objects.none()
    write_scope = TokenScope.KEYS  # it spends credit

    @extend_schema(parameters=[OpenApiParameter(name, str) for name in FILTERS])
    def list(self, request: Request) -> Response:
        said = {name: request.query_params.get(name, "") for name in FILTERS}
        shown = self.paginate_queryset(TuneJob.objects.visible_to(request.user).matching(**said).full())
        return self.get_paginated_response(JobSerializer(shown, many=True).data)

    @extend_schema(request=NewJob, responses={201: JobSerializer})
    def create(self, request: Request) -> Response:
        made = create_job(wish=_wish(request), user=user_of(request))
        return Response(JobSerializer(self._full().get(pk=made.pk)).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=NewJob, responses=QuoteSerializer)
    def quote(self, request: Request) -> Response:
        """What it would be and cost. Nothing is held."""
        found = quote_job(_wish(request))
        shown = asdict(found) | {"is_counted": found.is_counted}
        return Response(QuoteSerializer(shown).data)

    def retrieve(self, request: Request, **_address: str) -> Response:
        return Response(JobSerializer(self._one()).data)

    @extend_schema(request=None)
    def cancel(self, request: Request, **_address: str) -> Response:
        return self._changed(cancel_job)

    @extend_schema(request=None)
    def pause(self, request: Request, **_address: str) -> Response:
        return self._changed(pause_job)

    @extend_schema(request=None)
    def resume(self, request: Request, **_address: str) -> Response:
        return self._changed(resume_job)

    @extend_schema(responses=EventSerializer(many=True))
    def events(self, request: Request, **_address: str) -> Response:
        return self._page(self._one().events.all(), EventSerializer)

    @extend_schema(parameters=[PointsAsked], responses=PointSerializer(many=True))
    def points(self, request: Request, **_address: str) -> Response:
        """The curves, in as many points as are asked for: means, with their extremes, where there are more steps."""
        most = valid(PointsAsked(data=request.query_params))["most"]
        return Response(PointSerializer(self._one().points.all().curve(most=most), many=True).data)

    @extend_schema(responses=SampleSerializer(many=True))
    def samples(self, request: Request, **_address: str) -> Response:
        return Response(SampleSerializer(self._one().samples.order_by("step", "number"), many=True).data)

    @extend_schema(responses=CheckpointSerializer(many=True))
    def checkpoints(self, request: Request, **_address: str) -> Response:
        return self._page(self._one().checkpoints.select_related("job"), CheckpointSerializer)

    def _full(self) -> QuerySet[TuneJob]:
        return TuneJob.objects.visible_to(self.request.user).full()

    def _one(self) -> TuneJob:
        found = self._full().filter(public_id=self.kwargs["job_id"]).first()
        if found is None:
            raise JobNotFound
        return found

    def _changed(self, verb: Any) -> Response:
        job = self._one()
        verb(job=job, user=user_of(self.request))
        return Response(JobSerializer(self._full().get(pk=job.pk)).data)

    def _page(self, rows: QuerySet[Any], shape: type[serializers.BaseSerializer[Any]]) -> Response:
        return self.get_paginated_response(shape(self.paginate_queryset(rows), many=True).data)


def _wish(request: Request) -> Wish:
    """What the body asks for, of what the user may see. Raises ValidationError, NotFound naming the field."""
    asked = valid(NewJob(data=request.data))
    organization = organization_of(request, asked.pop("organization", None))
    base = None
    if asked["base"] is not None:
        visible = Listing.objects.visible_to(request.user).filter(pk__in=Listing.objects.named(asked["base"]))
        base = visible.select_related("organization", "current_release").first()
        if base is None:
            raise NotFound("There is no such model.", param="base")
    for name in ("training_file", "validation_file"):
        if asked[name] is not None:
            own = DataFile.objects.visible_to(request.user).filter(organization=organization, public_id=asked[name])
            asked[name] = own.first()
            if asked[name] is None:
                raise NotFound("There is no such file.", param=name)
    method, adaptation = TuneMethod(asked.pop("method")), Adaptation(asked.pop("adaptation"))
    prompts = tuple(asked.pop("sample_prompts"))
    return Wish(
        organization=organization, method=method, adaptation=adaptation, sample_prompts=prompts, **{**asked, "base": base}
    )  # fmt: skip
