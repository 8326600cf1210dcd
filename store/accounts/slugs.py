"""Names of organizations: the first half of a model's name, and the first part of its address in the store."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import chain

from django.utils.text import slugify

SLUG_LENGTH = 40
NUMBERED = range(2, 6)  # acme-2 to acme-5 read well; beyond these, chance
TAIL_BYTES = 3

# First parts of an address that mean something else, now or by any sensible guess later.
RESERVED_WORDS = """
about account accounts admin api appeals assets auth billing blog catalog categories chat checkout compare console contact
data datasets docs download favicon favourites files fleet health healthz help home hub i18n invitations jobs keys legal lfs login logout market media metrics model models
moderation new official org organizations payouts playground policies pricing privacy provider providers public publish
rankings reports repos requests reviews robots root runs schema search security settings signin signup site spaces static
status store stripe subscriptions support system terms test tokens tune uploads usage user users v1 v2
wallet webhooks well-known www
"""
RESERVED = frozenset(RESERVED_WORDS.split())


def slug_candidates(*wishes: str) -> Iterator[str]:
    """Slugs to try in turn, from a person's name or e-mail address; endless, for the last ones are chance.

    Names in a script without Latin letters give no slug of their own: the next wish is taken.
    """
    base = next(filter(None, (slugify(wish.partition("@")[0])[:SLUG_LENGTH].strip("-_") for wish in wishes)), "member")
    base = base if base not in RESERVED else f"{base}-org"
    room = base[: SLUG_LENGTH - 2 * TAIL_BYTES - 1].strip("-_")
    numbered = (f"{room}-{number}" for number in NUMBERED)
    chances = (f"{room}-{secrets.token_hex(TAIL_BYTES)}" for _ in iter(int, 1))
    return chain([base], numbered, chances)
