"""The one way in which a row changes its state."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.utils.translation import gettext as _

from store.catalog.actions.errors import NotInThisState

Transitions = Mapping[Any, Collection[Any]]  # from a status to those that may follow it


def move(row: Any, to: str, transitions: Transitions, **fields: Any) -> None:
    """Moves ``row.status`` to ``to`` and sets ``fields``, if the row in the database still stands where ``row`` does.

    Raises NotInThisState where no way leads there, and where somebody else was first: then nothing has changed.
    """
    if to not in transitions.get(row.status, ()):
        raise NotInThisState(
            _("This cannot be done any more, or not yet: it is “%(status)s”.") % {"status": row.get_status_display()}
        )
    moved = type(row).objects.filter(pk=row.pk, status=row.status).update(status=to, **fields)
    if moved != 1:
        raise NotInThisState(_("It was changed at the same time; look at it again."))
    row.refresh_from_db()
