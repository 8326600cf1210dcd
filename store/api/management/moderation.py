"""``/api/moderation``: what moderators look at and decide; and what people ask of them: reports and appeals."""

from __future__ import annotations

from collections.abc import Sequence

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from store.api.management.authentication import WithinScope
from store.api.management.of_listing import OfListing, Reason, user_of, valid
from store.api.management.pages import NewestFirst
from store.api.management.releases import SubmissionSerializer
from store.catalog.models import Listing, Submission, SubmissionStatus
from store.moderation import actions
from store.moderation.models import Appeal, Decision, Report, ReportReason


class IsModerator(BasePermission):
    """Others are told that there is nothing here that they may do."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user.is_authenticated and request.user.is_moderator)


MODERATORS = (IsAuthenticated, IsModerator, WithinScope)


class ReportSerializer(serializers.ModelSerializer[Report]):
    """What somebody said about a listing."""

    listing: serializers.StringRelatedField[Listing] = serializers.StringRelatedField()

    class Meta:
        model = Report
        fields = ("id", "listing", "reason", "text", "status", "created_at", "decided_at")


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    """What a moderator did, and why."""

    listing: serializers.StringRelatedField[Listing] = serializers.StringRelatedField()

    class Meta:
        model = Decision
        fields = ("id", "listing", "action", "reason", "status_before", "created_at")


class AppealSerializer(serializers.ModelSerializer[Appeal]):
    """A provider's word against a decision, and the answer."""

    decision = DecisionSerializer()

    class Meta:
        model = Appeal
        fields = ("id", "decision", "text", "status", "answer", "created_at", "answered_at")


class InReviewSerializer(SubmissionSerializer):
    """A submission with the name of its listing."""

    listing: serializers.StringRelatedField[Listing] = serializers.StringRelatedField()

    class Meta(SubmissionSerializer.Meta):
        fields = ("listing", *SubmissionSerializer.Meta.fields)  # type: ignore[assignment]  # one more than its base


class NewReport(serializers.Serializer[Report]):
    """What is wrong with the listing."""

    reason = serializers.ChoiceField(choices=ReportReason.choices)
    text = serializers.CharField(max_length=4000)


class AppealText(serializers.Serializer[Appeal]):
    """Why the decision should be looked at again."""

    text = serializers.CharField(max_length=4000)


class Answer(serializers.Serializer[Appeal]):
    """Granting lifts the suspension."""

    is_granted = serializers.BooleanField()
    answer = serializers.CharField(max_length=4000)


class ReviewQueue(mixins.ListModelMixin, viewsets.GenericViewSet[Submission]):
    """``/api/moderation/submissions``: in review; approve, decline."""

    permission_classes = MODERATORS
    serializer_class = InReviewSerializer
    pagination_class = NewestFirst
    queryset = Submission.objects.filter(status=SubmissionStatus.IN_REVIEW).select_related(
        "listing__organization", "commit", "release", "measurement"
    )

    @extend_schema(request=Reason, responses=DecisionSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        reason = valid(Reason(data=request.data))["reason"]
        made = actions.approve(submission=self.get_object(), moderator=user_of(request), reason=reason)
        return Response(DecisionSerializer(made).data)

    @extend_schema(request=Reason, responses=DecisionSerializer)
    @action(detail=True, methods=["post"])
    def decline(self, request: Request, pk: str) -> Response:
        reason = valid(Reason(data=request.data))["reason"]
        made = actions.decline(submission=self.get_object(), moderator=user_of(request), reason=reason)
        return Response(DecisionSerializer(made).data)


class ReportQueue(mixins.ListModelMixin, viewsets.GenericViewSet[Report]):
    """``/api/moderation/reports``: open ones; dismiss."""

    permission_classes = MODERATORS
    serializer_class = ReportSerializer
    pagination_class = NewestFirst
    queryset = Report.objects.waiting()

    @extend_schema(request=Reason, responses=DecisionSerializer)
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, pk: str) -> Response:
        reason = valid(Reason(data=request.data))["reason"]
        made = actions.dismiss_report(report=self.get_object(), moderator=user_of(request), reason=reason)
        return Response(DecisionSerializer(made).data)


class AppealQueue(mixins.ListModelMixin, viewsets.GenericViewSet[Appeal]):
    """``/api/moderation/appeals``: those that wait; answer."""

    permission_classes = MODERATORS
    serializer_class = AppealSerializer
    pagination_class = NewestFirst
    queryset = Appeal.objects.waiting()

    @extend_schema(request=Answer, responses=AppealSerializer)
    @action(detail=True, methods=["post"])
    def answer(self, request: Request, pk: str) -> Response:
        said = valid(Answer(data=request.data))
        made = actions.answer_appeal(appeal=self.get_object(), moderator=user_of(request), **said)
        return Response(AppealSerializer(made).data)


class StandingViews(OfListing[Decision]):
    """``/api/listings/{organization}/{slug}/…``: report it; suspend it and lift that; its decisions, and an appeal against one."""

    serializer_class = DecisionSerializer
    queryset = Decision.objects.none()

    def get_permissions(self) -> Sequence[BasePermission]:
        needed = MODERATORS if self.action in ("suspend", "lift") else (IsAuthenticated, WithinScope)
        return [permission() for permission in needed]

    @extend_schema(request=NewReport, responses={201: ReportSerializer})
    def report(self, request: Request, **_address: str) -> Response:
        said = valid(NewReport(data=request.data))
        made = actions.report_listing(listing=self.seen(), user=user_of(request), **said)
        return Response(ReportSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=Reason, responses=DecisionSerializer)
    def suspend(self, request: Request, **_address: str) -> Response:
        reason = valid(Reason(data=request.data))["reason"]
        made = actions.suspend_listing(listing=self._any(), moderator=user_of(request), reason=reason)
        return Response(DecisionSerializer(made).data)

    @extend_schema(request=Reason, responses=DecisionSerializer)
    def lift(self, request: Request, **_address: str) -> Response:
        reason = valid(Reason(data=request.data))["reason"]
        made = actions.lift_suspension(listing=self._any(), moderator=user_of(request), reason=reason)
        return Response(DecisionSerializer(made).data)

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(Decision.objects.of_listing(self.own()))

    @extend_schema(request=AppealText, responses={201: AppealSerializer})
    def appeal(self, request: Request, **_address: str) -> Response:
        text = valid(AppealText(data=request.data))["text"]
        decision = self.one(Decision.objects.of_listing(self.own()))
        made = actions.appeal(decision=decision, user=user_of(request), text=text)
        return Response(AppealSerializer(made).data, status=status.HTTP_201_CREATED)

    def _any(self) -> Listing:
        """Whatever its standing: a moderator sees what is suspended, too."""
        return self._named(Listing.objects.all())
