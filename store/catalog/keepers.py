"""Whose rows keep content in the storage. Later apps add theirs, so that what they name is not collected.

The rows of a listing that was deleted stay for the books, and keep content no more once UPLOAD_EXPIRES_S are over: until then whoever
deleted it by mistake can bring it back. What adapters of other listings are served on stays as long as they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone


@dataclass(frozen=True, slots=True)
class Keeper:
    """A model whose rows keep content by their field ``blob``; ``organization`` is the way from a row to whom it counts for."""

    label: str  # "app.Model"
    organization: str
    is_keeping: Callable[[], Q] = Q  # which of the rows; all of them

    @property
    def rows(self) -> QuerySet[Any]:
        """All that name content, whether they keep it or not."""
        rows: QuerySet[Any] = apps.get_model(self.label)._default_manager.all()
        return rows

    @property
    def keeping(self) -> QuerySet[Any]:
        return self.rows.filter(self.is_keeping())


def _lives(listing: str) -> Q:
    """``listing``: the way from a row to its listing."""
    long_ago = timezone.now() - timedelta(seconds=settings.UPLOAD_EXPIRES_S)
    return Q(**{f"{listing}__deleted_at": None}) | Q(**{f"{listing}__deleted_at__gte": long_ago})


def _commit_keeps() -> Q:
    return _lives("commit__listing")


def _release_keeps() -> Q:
    adapters = apps.get_model("catalog.Release")._default_manager.filter(_lives("listing"), base=OuterRef("release"))
    return _lives("release__listing") | Q(Exists(adapters))


_keepers: list[Keeper] = [
    Keeper("catalog.CommitFile", "commit__listing__organization", _commit_keeps),
    Keeper("catalog.ReleaseFile", "release__listing__organization", _release_keeps),
]


def register(*added: Keeper) -> None:
    """Called in ``AppConfig.ready``, as the checks of the books are registered."""
    _keepers.extend(added)


def keepers() -> tuple[Keeper, ...]:
    return tuple(_keepers)
