"""Monthly statements: what an organization's credit was, what moved it, what was called, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Max, QuerySet, Sum
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.billing.customers import place_now
from store.billing.details import buyer_of
from store.billing.grants import NOT_SPENDING
from store.billing.models import Paper, PaperKind, Place, TopupMode
from store.billing.papers.issuing import issue
from store.ledger.models import Transfer, TransferKind, Wallet, WalletKind
from store.ledger.sql import execute
from store.runs.ids import first_id

BATCH: Final = 1000
OPEN_FOR: Final = timedelta(days=1)  # a run opened so long before it was settled at most
# By the time in their ids, which are UUIDs of version 7: so the index on them finds the runs of a month.
CALLED = """
SELECT g.slug || '/' || l.slug, count(*), sum(r.prompt_tokens), sum(r.output_tokens), sum(r.charge_nano)::bigint
FROM runs_run r JOIN catalog_listing l ON l.id = r.listing_id JOIN accounts_organization g ON g.id = l.organization_id
WHERE r.organization_id = %s AND r.id >= %s::uuid AND r.id < %s::uuid AND r.settled_at >= %s AND r.settled_at < %s AND r.charge_nano > 0
GROUP BY 1 ORDER BY 5 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class Month:
    """From its first moment to the first of the next month, UTC."""

    starts: datetime
    ends: datetime

    @classmethod
    def of(cls, day: date) -> Month:
        starts = datetime(day.year, day.month, 1, tzinfo=UTC)
        return cls(starts, datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC))

    @classmethod
    def before(cls, now: datetime) -> Month:
        """The last month that is over."""
        return cls.of((Month.of(now.date()).starts - timedelta(days=1)).date())


def due_statements(month: Month) -> list[int]:
    """Ids of organizations whose credit moved in a month, and that have no statement of it yet."""
    rows = execute(
        """SELECT w.organization_id FROM ledger_wallet w WHERE w.kind = 'credit' AND w.created_at < %s
           AND EXISTS (SELECT FROM ledger_transfer t WHERE (t.debit_id = w.id OR t.credit_id = w.id) AND t.created_at >= %s AND t.created_at < %s)
           AND NOT EXISTS (SELECT FROM billing_paper p WHERE p.kind = 'statement' AND p.organization_id = w.organization_id AND p.period = %s)
           ORDER BY 1 LIMIT %s""",
        month.ends,
        month.starts,
        month.ends,
        month.starts.date(),
        BATCH,
    )
    return [organization_id for (organization_id,) in rows]


@transaction.atomic
def issue_statement(organization_id: int, month: Month) -> Paper:
    """The statement of a month that is over; the same one, however often it is asked for."""
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization_id)
    found = Paper.objects.filter(
        organization=organization, kind=PaperKind.STATEMENT, period=month.starts.date()
    ).first()
    if found:
        return found
    wallet = Wallet.objects.get(organization=organization, kind=WalletKind.CREDIT)
    within = _within(month.starts, month.ends)
    opening, moved, used = _opening(wallet, month), _moved(wallet, within), _used(wallet, month, within)
    closing = opening + sum(line["amount_nano"] for line in moved) - sum(line["amount_nano"] for line in used)
    content = {
        "buyer": buyer_of(organization), "period": f"{month.starts:%Y-%m}", "opening_nano": opening, "moved": moved, "used": used,
        "closing_nano": closing,
    }  # fmt: skip
    return issue(
        organization, PaperKind.STATEMENT, about=f"statement:{organization.pk}:{month.starts:%Y-%m}", period=month.starts.date(),
        mode=TopupMode.LIVE if place_now() == Place.LIVE else TopupMode.TEST, content=content,
        total_nano=sum(line["amount_nano"] for line in used),
    )  # fmt: skip


def _within(starts: datetime | None, ends: datetime) -> QuerySet[Transfer]:
    """The transfers of a time; from the beginning where ``starts`` is None."""
    rows = Transfer.objects.filter(created_at__lt=ends, id__lt=_id_from(ends + OPEN_FOR))
    return rows if starts is None else rows.filter(created_at__gte=starts, id__gte=_id_from(starts - OPEN_FOR))


def _id_from(when: datetime) -> int:
    """Where the transfers of a moment begin, by halving: their ids grow with time, and there is no index on the time itself."""
    low, high = 0, (Transfer.objects.aggregate(last=Max("id"))["last"] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = Transfer.objects.filter(id__gte=middle).order_by("id").values_list("id", "created_at").first()
        if row is None or row[1] >= when:
            high = middle
        else:
            low = row[0] + 1
    return low


def _opening(wallet: Wallet, month: Month) -> int:
    """Nano-dollars in the wallet when a month begins: what the last statement left, and what moved since."""
    older = Paper.objects.filter(
        kind=PaperKind.STATEMENT, organization=wallet.organization_id, period__lt=month.starts.date()
    )
    last = older.order_by("-period").first()
    since = _within(Month.of(last.period).ends if last and last.period else None, month.starts)
    left = int(last.content["closing_nano"]) if last else 0
    return left + _sum(since.filter(credit=wallet)) - _sum(since.filter(debit=wallet))


def _sum(rows: QuerySet[Transfer]) -> int:
    return int(rows.aggregate(sum=Sum("amount_nano"))["sum"] or 0)


def _moved(wallet: Wallet, within: QuerySet[Transfer]) -> list[dict[str, Any]]:
    """What was added and went back, by kind: everything but what was spent."""
    sums: dict[str, int] = {}
    for rows, sign in ((within.filter(credit=wallet), 1), (within.filter(debit=wallet, kind__in=NOT_SPENDING), -1)):
        for kind, amount in rows.order_by().values_list("kind").annotate(sum=Sum("amount_nano")):
            sums[kind] = sums.get(kind, 0) + sign * int(amount)
    return [{"text": str(TransferKind(kind).label), "amount_nano": sums[kind]} for kind in sorted(sums) if sums[kind]]


def _used(wallet: Wallet, month: Month, within: QuerySet[Transfer]) -> list[dict[str, Any]]:
    """What was spent, by model; trainings and all else apart. Its sum is what left the wallet, to the unit."""
    spent = within.filter(debit=wallet).exclude(kind__in=NOT_SPENDING)
    rows = execute(
        CALLED, wallet.organization_id, first_id(month.starts - OPEN_FOR), first_id(month.ends), month.starts, month.ends
    )  # fmt: skip
    lines = [
        {"text": name, "calls": calls, "tokens_in": tokens_in, "tokens_out": tokens_out, "amount_nano": amount}
        for name, calls, tokens_in, tokens_out, amount in rows
    ]
    trained = _sum(spent.filter(key__startswith="tune:"))
    others = _sum(spent) - trained - sum(line["amount_nano"] for line in lines)
    more = [(_("Fine-tuning"), trained), (_("Other"), others)]
    return lines + [{"text": text, "amount_nano": amount} for text, amount in more if amount]
