"""Browsers that are signed in, and runs to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.catalog.actions.repositories import AddFile, commit_files
from store.catalog.models import Commit, Listing, Submission, SubmissionStatus, Weights
from store.console.begin import begin_listing
from store.keys.actions import IssuedKey
from store.runs.actions import heartbeat_gateway, open_runs, settle_runs
from store.runs.books import OpenedRun, OpenRun, SettleRun
from store.runs.models import Endpoint, Run, RunStatus
from store.uploads.actions import store_bytes

MakeRun = Callable[..., Run]


@pytest.fixture
def browser(client: Client, consumer: User) -> Client:
    """The consumer's, signed in."""
    client.force_login(consumer)
    return client


@pytest.fixture
def seller(provider: User) -> Client:
    """The provider's, signed in."""
    browser = Client()
    browser.force_login(provider)
    return browser


@pytest.fixture
def make_run(listing: Listing, issued_key: IssuedKey) -> MakeRun:
    """Opens and settles a run of the consumer's key: 100 tokens in, 50 out."""
    gateway_id = uuid7()
    heartbeat_gateway(gateway_id)

    def make(
        *,
        status: RunStatus = RunStatus.SUCCEEDED,
        output_tokens: int = 50,
        run_id: UUID | None = None,
        of: Listing = listing,
    ) -> Run:
        run = OpenRun(
            run_id=run_id or uuid7(),
            organization_id=issued_key.api_key.organization_id,
            user_id=None,
            api_key_id=issued_key.api_key.pk,
            listing_id=of.pk,
            release_id=of.current_release_id or 0,
            gateway_id=gateway_id,
            endpoint=Endpoint.CHAT,
            request_id="req_1",
            is_stream=True,
            prompt_tokens=100,
            max_tokens=100,
            context_left=400,
        )
        [opened] = open_runs([run])
        assert isinstance(opened, OpenedRun)
        settle_runs([SettleRun(run_id=run.run_id, status=status, output_tokens=output_tokens, finish_reason="stop")])
        return Run.objects.get(pk=run.run_id)

    return make


@dataclass
class Draft:
    """``provider/verse``: begun, with a card and nothing else. ``at`` is its address on the way into the store."""

    listing: Listing
    user: User
    at: str = "/publish/provider/verse"
    manage: str = "/provider/verse/manage"

    def commit(self, *paths: str, title: str = "") -> Commit:
        """Files of a few bytes on main."""
        changes = []
        for path in paths:
            blob = store_bytes(
                organization=self.listing.organization, user=self.user, path=path, data=f"{path} {uuid7()}".encode()
            )
            changes.append(AddFile(path, blob.sha256))
        return commit_files(listing=self.listing, user=self.user, changes=changes, title=title or "Upload")

    def problem(self, path: str, message: str) -> dict[str, str]:
        return {"path": path, "code": "x", "message": message}

    def come_to(self, status: SubmissionStatus, **fields: Any) -> Submission:
        """What a worker would have done with the newest submission."""
        newest = self.listing.submissions.order_by("-id")[:1]
        Submission.objects.filter(pk__in=[row.pk for row in newest]).update(status=status, **fields)
        return Submission.objects.get(pk=newest[0].pk)


@pytest.fixture
def draft(provider: User) -> Draft:
    listing = begin_listing(
        organization=provider.personal_organization, user=provider, slug="verse", title="Verse", licence="mit",
        is_private=False, weights=Weights.CLOSED,
    )  # fmt: skip
    return Draft(listing, provider)
