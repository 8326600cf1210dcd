"""Tokens with which a worker fetches the files of one release: signed, expiring, kept nowhere."""

from __future__ import annotations

from django.conf import settings
from django.core import signing

from store.catalog.models import Release

SALT = "store.hub.release"


def release_token(release: Release | int) -> str:
    """A token good for the files of this release (or its id) only, for ``RELEASE_TOKEN_S``."""
    return signing.TimestampSigner(salt=SALT).sign(str(release if isinstance(release, int) else release.pk))


def read_release_token(token: str) -> int | None:
    """The id of the release that the token opens, or None."""
    try:
        return int(signing.TimestampSigner(salt=SALT).unsign(token, max_age=settings.RELEASE_TOKEN_S))
    except (signing.BadSignature, ValueError):
        return None
