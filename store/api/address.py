"""The address of the caller, through as many reverse proxies as the settings name."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def caller_address(request: HttpRequest) -> str:
    """What the outermost trusted proxy saw; without proxies, the peer. What a client writes into the header itself is not believed."""
    peer: str = request.META.get("REMOTE_ADDR") or ""
    if not settings.TRUSTED_PROXIES:
        return peer
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    return hops[-settings.TRUSTED_PROXIES] if len(hops) >= settings.TRUSTED_PROXIES else peer
