"""Who may ask for what, and who may decide."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _

from store.accounts.models import User
from store.backoffice.models import ActionKind
from store.errors import InvalidRequest, PermissionDenied

MAX_REASON: Final = 2000
DECIDE: Final = "backoffice.decide_actions"
SEE_BOOKS: Final = "backoffice.view_books"
ASK: Final[dict[ActionKind, str]] = {
    ActionKind.GRANT: "backoffice.grant_credit",
    ActionKind.ADJUST: "backoffice.adjust_books",
    ActionKind.REFUND: "backoffice.refund_payments",
    ActionKind.PROMO_CODE: "backoffice.manage_codes",
    ActionKind.END_CODE: "backoffice.manage_codes",
    ActionKind.FREEZE_SPENDING: "backoffice.freeze_money",
    ActionKind.LIFT_SPENDING: "backoffice.freeze_money",
    ActionKind.FREEZE_PAYOUTS: "backoffice.freeze_money",
    ActionKind.LIFT_PAYOUTS: "backoffice.freeze_money",
    ActionKind.PAYOUT: "backoffice.run_payouts",
    ActionKind.RETRY_PAYOUT: "backoffice.run_payouts",
    ActionKind.RELEASE_HOLD_BACK: "backoffice.release_earnings",
}


def may(user: User, permission: str) -> bool:
    """Whether a person who runs the store has this permission (``app.codename``)."""
    return user.is_staff and user.has_perm(permission)


def check_may(user: User, permission: str) -> None:
    """Raises PermissionDenied."""
    if not may(user, permission):
        raise PermissionDenied(_("Your role in this store does not allow that. Ask a superuser for the permission."))


def check_words(text: str, *, param: str, required: bool) -> str:
    """The text without blanks around it. Raises InvalidRequest."""
    words = text.strip()
    if (required and not words) or len(words) > MAX_REASON or "\0" in words:
        raise InvalidRequest(_("Say why, in at most 2000 characters."), param=param)
    return words
