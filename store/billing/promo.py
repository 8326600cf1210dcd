"""Promo codes: made by the people who run the store, used once or a few times by an organization, good for granted credit."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.core.cache import cache
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.billing.actions import require_buyer
from store.billing.grants import MAX_DAYS, MAX_GRANT_NANO, grant_credit, lock_and_count
from store.billing.models import Grant, GrantSource, PromoCode, Redemption, Topup, TopupStatus
from store.errors import InvalidRequest, PermissionDenied, StoreError
from store.ledger.dollars import dollars

WORD: Final = re.compile(r"[A-Z0-9][A-Z0-9_-]{2,39}", re.ASCII)
GUESSES: Final = 20  # of one person in GUESSING_S: a code is a word, and words can be guessed
GUESSING_S: Final = 3600


class PromoRefused(StoreError):
    """The code is not good now, or not for this organization. The message says why."""

    code: ClassVar[str] = "promo_refused"
    status: ClassVar[int] = 409


class TooManyGuesses(StoreError):
    """A person has tried too many codes."""

    code: ClassVar[str] = "too_many_guesses"
    status: ClassVar[int] = 429
    default_message: ClassVar[str] = "You have tried many codes. Try again in an hour."


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeTerms:
    """What a code is good for: ``amount_nano``, or ``percent`` of a top-up with ``most_nano`` at most; when, how often, and for whom."""

    code: str
    amount_nano: int | None = None
    percent: int | None = None
    most_nano: int | None = None
    lives_days: int = 90
    total_limit: int | None = None
    organization_limit: int = 1
    first_topup_only: bool = False
    starts_at: datetime = field(default_factory=timezone.now)
    ends_at: datetime | None = None

    def problems(self) -> dict[str, str]:
        """What is wrong with each field; nothing where the code can be made."""
        nanos = [each for each in (self.amount_nano, self.most_nano) if each is not None]
        found = {
            "code": (
                not WORD.fullmatch(self.code) or PromoCode.objects.filter(code=self.code).exists(),
                _("A code has 3 to 40 capital letters, digits, - and _, and is not taken."),
            ),
            "amount_nano": (
                (self.amount_nano is None) == (self.percent is None) or not all(0 < n <= MAX_GRANT_NANO for n in nanos),
                _("A code is either for an amount of $10,000 at most, or for a percentage."),
            ),
            "most_nano": (self.most_nano is not None and self.percent is None, _("This goes with a percentage.")),
            "percent": (self.percent is not None and not 1 <= self.percent <= 100, _("Between 1 and 100.")),
            "lives_days": (not 1 <= self.lives_days <= MAX_DAYS, _("Between a day and ten years.")),
            "organization_limit": (self.organization_limit < 1, _("At least 1.")),
            "ends_at": (self.ends_at is not None and self.ends_at <= self.starts_at, _("It ends after it starts.")),
        }
        return {name: said for name, (is_wrong, said) in found.items() if is_wrong}

    @property
    def gives(self) -> str:
        """What one use of it is good for, in words."""
        if self.amount_nano is not None:
            return dollars(self.amount_nano)
        said = {"percent": self.percent, "most": dollars(self.most_nano or MAX_GRANT_NANO)}
        return _("%(percent)s %% of a top-up, at most %(most)s") % said

    @property
    def most_ever_nano(self) -> int | None:
        """All that it can ever give; None where nothing limits it."""
        each = self.most_nano or MAX_GRANT_NANO if self.amount_nano is None else self.amount_nano
        return None if self.total_limit is None else each * self.total_limit

    def kept(self) -> dict[str, Any]:
        """As JSON, but for its start: a code that waits for a second person starts when it is made."""
        ends_at = self.ends_at.isoformat() if self.ends_at else None
        return {name: value for name, value in asdict(self).items() if name != "starts_at"} | {"ends_at": ends_at}

    @classmethod
    def of(cls, kept: dict[str, Any]) -> CodeTerms:
        """From what :meth:`kept` has made."""
        ends_at = kept["ends_at"]
        return cls(**{**kept, "ends_at": datetime.fromisoformat(ends_at) if ends_at else None})


@transaction.atomic
def make_code(*, user: User, terms: CodeTerms) -> PromoCode:
    """A new code. Raises PermissionDenied, InvalidRequest naming the field."""
    if not (user.is_staff and user.is_active):
        raise PermissionDenied(_("Only the people who run the store make codes."))
    for param, said in terms.problems().items():
        raise InvalidRequest(said, param=param)
    return PromoCode.objects.create(**asdict(terms), created_by=user)


def end_code(*, code: PromoCode, user: User) -> bool:
    """From now on it is good for nothing more; what it gave stays. False where it had ended before. Raises PermissionDenied."""
    if not (user.is_staff and user.is_active):
        raise PermissionDenied
    now = timezone.now()
    return PromoCode.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), pk=code.pk).update(ends_at=now) == 1


def redeem(*, organization: Organization, user: User, code: str) -> Redemption:
    """Uses a code: credit at once, or with the next top-up (then ``grant`` is None until it is paid).

    Raises NotFound, PermissionDenied, TooManyGuesses, PromoRefused.
    """
    require_buyer(organization, user)
    _count_guess(user)
    found = PromoCode.objects.filter(code=code.strip().upper()).first()
    if found is None:
        raise PromoRefused(_("There is no such code. Look at how it is written."), param="code")
    return _redeem(organization, user, found)


@transaction.atomic
def _redeem(organization: Organization, user: User, code: PromoCode) -> Redemption:
    lock_and_count(organization.pk)  # two of one organization count each other
    _require_good(code, organization)
    mine = PromoCode.objects.filter(Q(total_limit=None) | Q(redeemed__lt=F("total_limit")), pk=code.pk)
    if mine.update(redeemed=F("redeemed") + 1) != 1:
        raise PromoRefused(_("Somebody else has used the last one of this code."), param="code")
    given = None if code.waits_for_topup else _give(code, organization, user, int(code.amount_nano or 0))
    return Redemption.objects.create(code=code, organization=organization, grant=given, created_by=user)


def _require_good(code: PromoCode, organization: Organization) -> None:
    now = timezone.now()
    bought = organization.topups.filter(status=TopupStatus.PAID).exclude(payment_intent=None)
    mine = organization.redemptions
    refused = {
        _("This code cannot be used yet."): code.starts_at > now,
        _("This code has ended."): code.ends_at is not None and code.ends_at <= now,
        _("You have used this code."): mine.filter(code=code).count() >= code.organization_limit,
        _("This code is for a first top-up."): code.first_topup_only and bought.exists(),
        _("Another code waits for your next top-up: one is used at a time."): code.waits_for_topup
        and mine.filter(grant=None).exists(),
    }
    for why, is_refused in refused.items():
        if is_refused:
            raise PromoRefused(why, param="code")


def add_to_topup(topup: Topup) -> Grant | None:
    """Gives what waits for a top-up, now that one is paid. In its transaction, under the lock of the organization's credit."""
    waiting = Redemption.objects.select_related("code", "organization")
    redemption = waiting.filter(organization=topup.organization_id, grant=None).first()
    if redemption is None:
        return None
    code = redemption.code
    amount_nano = topup.amount_nano * code.percent // 100 if code.percent else int(code.amount_nano or 0)
    amount_nano = min(amount_nano, code.most_nano or MAX_GRANT_NANO)
    grant = _give(code, redemption.organization, redemption.created_by, amount_nano, topup)
    Redemption.objects.filter(pk=redemption.pk).update(grant=grant)
    return grant


def _give(code: PromoCode, to: Organization, user: User, amount_nano: int, topup: Topup | None = None) -> Grant:
    return grant_credit(
        organization=to, amount_nano=amount_nano, expires_at=timezone.now() + timedelta(days=code.lives_days),
        reason=_("Code %s") % code.code, source=GrantSource.PROMO, user=user, topup=topup,
    )  # fmt: skip


def _count_guess(user: User) -> None:
    key = f"promo:{user.pk}"
    cache.add(key, 0, GUESSING_S)
    try:
        guesses = cache.incr(key)
    except ValueError:  # it expired, or the cache was emptied, just now
        guesses = 1
    if guesses > GUESSES:
        raise TooManyGuesses(retry_after_s=GUESSING_S)
