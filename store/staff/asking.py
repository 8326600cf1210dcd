"""From a row in the admin to the form on which something about it is asked for."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpResponseRedirect
from django.urls import reverse


def ask_for(action: str, **filled_in: str) -> HttpResponseRedirect:
    """To the form of this action of the back office, with these fields filled in."""
    address = reverse(f"admin:backoffice_adminaction_{action}")
    return HttpResponseRedirect(f"{address}?{urlencode(filled_in)}" if filled_in else address)
