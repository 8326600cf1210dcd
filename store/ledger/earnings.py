"""When earnings become available: some days after they came in, so that a refund or a dispute still finds them there.

A wallet counts all that ever came into it, ``credited_nano``. A *mark* keeps that count at a moment. What had come in by the newest mark
that is old enough is no longer held back; the rest is::

    available = posted - (credited - least count since then)

The least, for what is clawed back takes the newest earnings first: it lowers the count, and makes a mark, so that what comes in after it
is held back from its own beginning. Nothing is summed up: the answer costs the same for ten transfers and for a hundred million.

A *release* says that what had come in up to a count is available, whatever its age: that count is taken where it is greater. It stays true, for
what is available is never clawed back, so that the count of a wallet never falls below that of a release.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from store.ledger import actions as ledger
from store.ledger.models import Transfer, TransferKind
from store.ledger.sql import array, execute

MARK_EVERY = timedelta(hours=1)  # so much later than the hold-back says can earnings become available
KEPT = timedelta(days=100)  # marks older than this are deleted, but for the newest of them
MOST_DAYS = 90  # of a hold-back: less than KEPT
BATCH = 200  # wallets that are marked in one transaction

BALANCE = """
SELECT w.organization_id, w.id, w.posted_nano, least(w.posted_nano, greatest(0, w.posted_nano - w.credited_nano + greatest(
    (SELECT max(r.credited_nano) FROM ledger_earningsrelease r WHERE r.wallet_id = w.id),
    least(
        w.credited_nano,
        coalesce((SELECT m.credited_nano FROM ledger_earningsmark m WHERE m.wallet_id = w.id AND m.at <= %s::timestamptz
                  ORDER BY m.at DESC, m.id DESC LIMIT 1), 0),
        (SELECT min(m.credited_nano) FROM ledger_earningsmark m WHERE m.wallet_id = w.id AND m.at > %s::timestamptz)))))
FROM ledger_wallet w WHERE w.kind = 'earnings' AND w.organization_id = ANY(%s::bigint[])
"""
MARK = """
WITH locked AS MATERIALIZED (
    SELECT id, credited_nano FROM ledger_wallet WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE)
INSERT INTO ledger_earningsmark (wallet_id, at, credited_nano) SELECT id, clock_timestamp(), credited_nano FROM locked RETURNING id
"""
# What came in after the mark is not let go, nor is it in the place of what was clawed back since.
RELEASE = """
INSERT INTO ledger_earningsrelease (wallet_id, credited_nano) SELECT wallet_id, min(credited_nano) FROM ledger_earningsmark
WHERE wallet_id = %s AND id >= %s GROUP BY wallet_id
"""
UNMARKED = """
SELECT w.id FROM ledger_wallet w WHERE w.kind = 'earnings' AND w.id > %s AND w.credited_nano IS DISTINCT FROM (
    SELECT m.credited_nano FROM ledger_earningsmark m WHERE m.wallet_id = w.id ORDER BY m.at DESC, m.id DESC LIMIT 1)
ORDER BY w.id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Earnings:
    """Of an organization, in nano-dollars: ``posted`` is the sum of the other two. ``wallet_id`` None: it never earned."""

    wallet_id: int | None
    posted_nano: int
    available_nano: int

    @property
    def held_back_nano(self) -> int:
        return self.posted_nano - self.available_nano


@dataclass(frozen=True, slots=True)
class Release:
    """An amount that becomes available at a moment, if nothing of it is clawed back."""

    at: datetime
    amount_nano: int


def hold_back() -> timedelta:
    """How long earnings are held back."""
    return timedelta(days=settings.EARNINGS_HOLD_BACK_DAYS)


def earnings_of(organization_id: int) -> Earnings:
    """What the organization has earned and not been paid, as it is now."""
    return earnings_of_all([organization_id]).get(organization_id, Earnings(None, 0, 0))


def earnings_of_all(organization_ids: list[int]) -> dict[int, Earnings]:
    """The same of many; those that never earned are missing."""
    since = timezone.now() - hold_back()
    rows = execute(BALANCE, since, since, array(organization_ids))
    is_held = bool(hold_back())  # a hold-back of nothing does not wait for a mark either
    return {
        owner: Earnings(wallet_id, posted, available if is_held else posted)
        for owner, wallet_id, posted, available in rows
    }


def lock_earnings(organization_id: int) -> Earnings:
    """The same, locked until the transaction ends: nobody else pays out of it, and nothing comes in. After all locks on credit."""
    execute(
        "SELECT FROM ledger_wallet WHERE kind = 'earnings' AND organization_id = %s FOR NO KEY UPDATE", organization_id
    )
    return earnings_of(organization_id)


def releases(earnings: Earnings) -> list[Release]:
    """When what is held back becomes available, soonest first; the amounts are what is held back, to the unit."""
    if earnings.wallet_id is None or not earnings.held_back_nano:
        return []
    now = timezone.now()
    rows = execute(
        """SELECT at, credited_nano FROM ledger_earningsmark WHERE wallet_id = %s AND at > %s
           UNION ALL SELECT %s::timestamptz, credited_nano FROM ledger_wallet WHERE id = %s ORDER BY 1""",
        earnings.wallet_id, now - hold_back(), now + MARK_EVERY, earnings.wallet_id,
    )  # fmt: skip
    credited = rows[-1][1]
    free = credited - earnings.held_back_nano  # what had come in before, and is not held back
    lowest, kept = credited, []
    for at, count in reversed(rows):
        lowest = min(lowest, count)
        kept.append((at, max(lowest, free)))
    steps = pairwise([(now, free), *reversed(kept)])
    return [Release(at + hold_back(), count - before) for (_at, before), (at, count) in steps if count > before]


@transaction.atomic
def claw_back(*, key: str, organization_id: int, credit_id: int, at_most_nano: int) -> int:
    """Takes earnings that are still held back, the newest first, and moves them to the wallet ``credit_id``, once for each ``key``.

    Returns how much was taken: less than ``at_most_nano`` where less is held back, for what is available is never touched. The caller has
    its locks on credit already.
    """
    held = lock_earnings(organization_id)
    done = Transfer.objects.filter(key=key).first()
    if done:
        return done.amount_nano
    amount = min(at_most_nano, held.held_back_nano)
    if amount <= 0 or held.wallet_id is None:
        return 0
    ledger.transfer(
        key=key, debit_id=held.wallet_id, credit_id=credit_id, amount_nano=amount, kind=TransferKind.CLAWBACK
    )
    execute(MARK, array([held.wallet_id]))
    return amount


def mark_now(organization_id: int) -> int | None:
    """The id of a mark of this moment, for :func:`release`; None of who never earned. Locks as :func:`lock_earnings` does."""
    earnings = lock_earnings(organization_id)
    return None if earnings.wallet_id is None else int(execute(MARK, array([earnings.wallet_id]))[0][0])


@transaction.atomic
def release(*, organization_id: int, mark_id: int) -> int:
    """Makes available what was held back when the mark was made, and is still there. Returns how much that is now."""
    before = lock_earnings(organization_id)
    execute(RELEASE, before.wallet_id, mark_id)
    return before.held_back_nano - earnings_of(organization_id).held_back_nano


def mark_earnings() -> int:
    """Makes a mark of each earnings wallet into which something has come since its last. Returns of how many."""
    marked, last = 0, 0
    while found := [wallet_id for (wallet_id,) in execute(UNMARKED, last, BATCH)]:
        execute(MARK, array(found))
        marked, last = marked + len(found), found[-1]
    return marked


def forget_marks() -> int:
    """Deletes marks that no hold-back needs any more. Returns how many."""
    rows = execute(
        """DELETE FROM ledger_earningsmark m WHERE m.at < %s AND EXISTS (
               SELECT FROM ledger_earningsmark n WHERE n.wallet_id = m.wallet_id AND n.at > m.at AND n.at < %s)
           RETURNING m.id""",
        *(2 * [timezone.now() - KEPT]),
    )
    return len(rows)
