"""What people do about what came from Stripe and was not as it should be."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.billing.models import Quarantine
from store.errors import Conflict, InvalidRequest, PermissionDenied

RESOLVE: Final = "billing.resolve_quarantine"
MAX_WORDS: Final = 2000


class ResolvedAlready(Conflict):
    """Somebody else was first: what they wrote stays."""

    code: ClassVar[str] = "quarantine_resolved"
    default_message: ClassVar[str] = "Somebody has written down what was done about it. That stays."


def resolve(*, row: Quarantine, user: User, words: str) -> Quarantine:
    """Writes down what was done about it, once. Raises PermissionDenied, InvalidRequest (``words``), ResolvedAlready."""
    if not (user.is_staff and user.has_perm(RESOLVE)):
        raise PermissionDenied(_("Your role in this store does not allow that. Ask a superuser for the permission."))
    said = words.strip()
    if not said or len(said) > MAX_WORDS or "\0" in said:
        raise InvalidRequest(_("Say what was done, in at most %d characters.") % MAX_WORDS, param="words")
    is_open = Quarantine.objects.filter(pk=row.pk, resolved_at=None)
    if is_open.update(resolution=said, resolved_by=user, resolved_at=Now()) != 1:
        raise ResolvedAlready
    row.refresh_from_db()
    return row
