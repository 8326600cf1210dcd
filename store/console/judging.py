"""What a moderator has before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers, patch_cache_control

from store.accounts.models import User
from store.catalog.actions.repositories import files_at
from store.catalog.models import Release, Submission, SubmissionStatus
from store.console.pages import View, page
from store.moderation.models import Appeal, Report

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits, for the tabs."""

    submissions: int
    reports: int
    appeals: int


@dataclass(frozen=True, slots=True)
class Differences:
    """What a submission changes of the release that is on the shelf. Paths; ``facts`` are (name, before, after)."""

    before: Release
    added: list[str]
    removed: list[str]
    changed: list[str]
    facts: list[tuple[str, object, object]]


def may_moderate(user: User) -> bool:
    return bool(user.is_moderator or user.is_staff)


def moderator_page(view: Callable[..., HttpResponse]) -> View:
    """A page for moderators. To everybody else it is not there."""

    @login_required
    @page
    @wraps(view)
    def shown(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not isinstance(request.user, User) or not may_moderate(request.user):
            raise Http404
        response = view(request, *args, **kwargs)
        add_never_cache_headers(response)
        patch_cache_control(response, private=True)
        return response

    return shown


def counts() -> Counts:
    return Counts(
        submissions=Submission.objects.filter(status=SubmissionStatus.IN_REVIEW).count(),
        reports=Report.objects.waiting().count(),
        appeals=Appeal.objects.waiting().count(),
    )


def differences(submission: Submission) -> Differences | None:
    """Against the release on the shelf; None for a first one."""
    before, after = submission.listing.current_release, submission.release
    if before is None or after is None:
        return None
    old = dict(before.files.values_list("path", "blob_id"))
    new = {file.path: file.sha256 for file in files_at(submission.commit)}
    names = ("architecture", "parameters", "context_length", "vocab_size", "size", "task")
    return Differences(
        before=before,
        added=sorted(new.keys() - old.keys()),
        removed=sorted(old.keys() - new.keys()),
        changed=sorted(path for path in new.keys() & old.keys() if new[path] != old[path]),
        facts=[
            (name.replace("_", " "), getattr(before, name), getattr(after, name))
            for name in names
            if getattr(before, name) != getattr(after, name)
        ],
    )
