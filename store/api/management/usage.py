"""``/api/usage``: what an organization used, in the shape of OpenAI's usage API: pages of buckets of time, each with results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from store.accounts.models import Organization, User
from store.api.management.listings import organization_of
from store.api.management.of_listing import valid
from store.catalog.models import Listing
from store.errors import NotFound
from store.keys.models import ApiKey
from store.reputation.periods import DAY, HOUR
from store.usage.figures import By, Group, Scope, UsageRow, by_time
from store.usage.models import Kind

WIDTHS: dict[str, tuple[By, timedelta]] = {"1h": ("hour", HOUR), "1d": ("day", DAY)}
GROUPS: dict[str, Group] = {"model": "listing", "api_key": "key", "member": "member", "kind": "kind"}
DEFAULT_DAYS = 30
PAGE = 31  # buckets, where it is not said
MOST = 366


class UsageQuery(serializers.Serializer[Any]):
    """The last 30 days by the day, where nothing else is said. Hours and days are UTC; ``until`` is not included. One's own organization
    where none is named; ``model`` is a full name, ``api_key`` a prefix, ``member`` an address."""

    organization = serializers.CharField(default=None)
    since = serializers.DateTimeField(default=None)
    until = serializers.DateTimeField(default=None)
    bucket_width = serializers.ChoiceField(choices=list(WIDTHS), default="1d")
    group_by = serializers.ChoiceField(choices=list(GROUPS), default=None, allow_null=True)
    model = serializers.CharField(default=None)
    api_key = serializers.CharField(default=None)
    member = serializers.CharField(default=None)
    kind = serializers.ChoiceField(choices=Kind.choices, default="")
    limit = serializers.IntegerField(default=PAGE, min_value=1, max_value=MOST)
    page = serializers.DateTimeField(default=None, help_text="next_page of the answer before.")


class UsageResultSerializer(serializers.Serializer[Any]):
    """What a bucket comes to; of the four names only that which was grouped by is not null. ``input_tokens`` has the cached ones in it, as
    at OpenAI. Money in nano-dollars. Times to the first token are null where it is grouped."""

    object = serializers.CharField(default="organization.usage.result")
    model = serializers.CharField(allow_null=True)
    api_key = serializers.CharField(allow_null=True)
    member = serializers.CharField(allow_null=True)
    kind = serializers.CharField(allow_null=True)
    num_model_requests = serializers.IntegerField()
    num_trainings = serializers.IntegerField()
    num_failed = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    input_cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    training_tokens = serializers.IntegerField()
    charge_nano = serializers.IntegerField()
    ttft_p50_ms = serializers.FloatField(allow_null=True)
    ttft_p95_ms = serializers.FloatField(allow_null=True)


class UsageBucketSerializer(serializers.Serializer[Any]):
    """``start_time`` and ``end_time`` are Unix seconds. Nothing was used where there are no results."""

    object = serializers.CharField(default="bucket")
    start_time = serializers.IntegerField()
    end_time = serializers.IntegerField()
    results = UsageResultSerializer(many=True)


class UsagePageSerializer(serializers.Serializer[Any]):
    """Buckets in order of time. These three describe the answer and do not write it, for it may have thousands of results."""

    object = serializers.CharField(default="page")
    data = UsageBucketSerializer(many=True)  # type: ignore[assignment]  # fields are no attributes: the metaclass takes them out
    has_more = serializers.BooleanField()
    next_page = serializers.CharField(allow_null=True)


class UsageView(APIView):
    """``GET /api/usage``: calls, tokens by class, cost, failures and times to the first token of an organization."""

    @extend_schema(parameters=[UsageQuery], responses=UsagePageSerializer)
    def get(self, request: Request) -> Response:
        asked = valid(UsageQuery(data=request.query_params))
        organization = organization_of(request, asked["organization"])
        scope, is_last = _page(asked, _scope(request, organization, asked))
        by, width = WIDTHS[asked["bucket_width"]]
        group = GROUPS[asked["group_by"]] if asked["group_by"] else None
        results = _results(by_time(scope, by, group), asked["group_by"])
        moments = [scope.begin + width * index for index in range((scope.end - scope.begin) // width)]
        data = [
            {
                "object": "bucket", "start_time": int(m.timestamp()), "end_time": int((m + width).timestamp()), "results": results[m],
            }
            for m in moments
        ]  # fmt: skip
        next_page = None if is_last else scope.end.isoformat()
        return Response({"object": "page", "data": data, "has_more": not is_last, "next_page": next_page})


def _scope(request: Request, organization: Organization, asked: dict[str, Any]) -> Scope:
    """The whole time that was asked for, in whole buckets. Raises NotFound, InvalidRequest."""
    _by, width = WIDTHS[asked["bucket_width"]]
    until = _whole(asked["until"] or timezone.now(), width, is_end=True)
    since = _whole(asked["since"] or until - DEFAULT_DAYS * DAY, width)
    return Scope(
        organization=organization, since=since, until=until, kind=asked["kind"], listing=_listing(request, organization, asked["model"]),
        api_key=_key(organization, asked["api_key"]), member=_member(organization, asked["member"]),
    )  # fmt: skip


def _page(asked: dict[str, Any], whole: Scope) -> tuple[Scope, bool]:
    """The part of it that this page shows, and whether it is the last."""
    _by, width = WIDTHS[asked["bucket_width"]]
    since = max(_whole(asked["page"], width), whole.since) if asked["page"] else whole.since
    until = min(since + asked["limit"] * width, whole.until)
    fields = {name: getattr(whole, name) for name in ("organization", "listing", "api_key", "member", "kind")}
    return Scope(since=since, until=until, **fields), until == whole.until


def _whole(moment: datetime, width: timedelta, *, is_end: bool = False) -> datetime:
    """The begin of its bucket; of an end the end of it."""
    begin = datetime.fromtimestamp(moment.timestamp() // width.total_seconds() * width.total_seconds(), UTC)
    return begin + width if is_end and begin < moment else begin


def _results(rows: Sequence[UsageRow], group_by: str | None) -> dict[datetime | None, list[dict[str, Any]]]:
    names = _names(group_by, {row.group for row in rows if row.group is not None})
    results: dict[datetime | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        each = row.figures
        named = dict.fromkeys(GROUPS) | ({group_by: names.get(row.group)} if group_by else {})
        results[row.time].append(
            {
                "object": "organization.usage.result", **named, "num_model_requests": each.calls, "num_trainings": each.trainings, "num_failed": each.failed,
                "input_tokens": each.input_tokens + each.cached_tokens, "input_cached_tokens": each.cached_tokens,
                "output_tokens": each.output_tokens, "training_tokens": each.training_tokens, "charge_nano": each.charge_nano,
                "ttft_p50_ms": each.ttft_p50_ms, "ttft_p95_ms": each.ttft_p95_ms,
            }
        )  # fmt: skip
    return results


def _names(group_by: str | None, ids: set[int | str]) -> dict[Any, str]:
    match group_by:
        case "model":
            return {each.pk: each.name for each in Listing.objects.filter(pk__in=ids).select_related("organization")}
        case "api_key":
            return dict(ApiKey.objects.filter(pk__in=ids).values_list("pk", "prefix"))
        case "member":
            return dict(User.objects.filter(pk__in=ids).values_list("pk", "email"))
    return {kind: str(kind) for kind in ids}


def _listing(request: Request, organization: Organization, name: str | None) -> Listing | None:
    """By its full name: one that the user sees, or that a key of the organization opens, for what was withdrawn was used all the same."""
    if not name:
        return None
    seen = Listing.objects.visible_to(request.user).values("pk")
    opened = Q(pk__in=seen) | Q(api_keys__organization=organization)
    found = Listing.objects.named(name).filter(opened).first()
    if found is None:
        raise NotFound(_("There is no such model."), param="model")
    return found


def _key(organization: Organization, prefix: str | None) -> ApiKey | None:
    found = organization.api_keys.filter(prefix=prefix).first() if prefix else None
    if prefix and found is None:
        raise NotFound(_("There is no such key."), param="api_key")
    return found


def _member(organization: Organization, email: str | None) -> User | None:
    """A member, or who was one: their keys are the organization's."""
    if not email:
        return None
    found = User.objects.filter(email__iexact=email).filter(
        Q(memberships__organization=organization) | Q(pk__in=organization.api_keys.values("created_by"))
    )
    member = found.first()
    if member is None:
        raise NotFound(_("There is no such member."), param="member")
    return member
