"""The books prove themselves: what is cached, counted or charged is computed again from the rows that it came from.

Each app registers the checks that it can make (as Django's system checks are registered, in ``AppConfig.ready``). All run as one statement, so
that they see one moment of the books however busy the store is. Each is a few hash joins: the time is linear in the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from store.ledger.sql import execute

MOST_NAMED = 1000  # mismatches that one audit names


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """``query`` selects (row, expected, found), all text, of the rows that do not match. ``remedy`` says what to do about one."""

    name: str
    query: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """A row whose content does not follow from the others."""

    check: str
    row: str
    expected: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.check}: {self.row}: expected {self.expected}, found {self.found}. {self.remedy}"


_checks: dict[str, Check] = {}


def register(*checks: Check) -> None:
    """Adds checks to every audit from now on; one of the same name takes the place of the older."""
    _checks.update({check.name: check for check in checks})


def audit(most: int = MOST_NAMED) -> list[Mismatch]:
    """The first ``most`` mismatches of the books; none if they are right."""
    checks = list(_checks.values())
    parts = [
        f"SELECT {number} AS part, q.a::text, q.b::text, q.c::text FROM ({check.query}) AS q (a, b, c)"
        for number, check in enumerate(checks)
    ]
    rows = execute(" UNION ALL ".join(parts).replace("%", "%%") + " LIMIT %s", most)
    return [
        Mismatch(check=checks[part].name, row=row, expected=expected, found=found, remedy=checks[part].remedy)
        for part, row, expected, found in rows
    ]


CORRECT = "Find out what wrote it; then add a transfer of kind correction. Never edit the balance."
register(
    Check(
        name="posted balance",
        query="""
            SELECT 'wallet ' || w.id, coalesce(t.sum, 0), w.posted_nano
            FROM ledger_wallet w LEFT JOIN (
                SELECT wallet, sum(delta) FROM (
                    SELECT credit_id AS wallet, amount_nano AS delta FROM ledger_transfer
                    UNION ALL SELECT debit_id, -amount_nano FROM ledger_transfer) AS legs GROUP BY wallet
            ) AS t ON t.wallet = w.id
            WHERE w.posted_nano <> coalesce(t.sum, 0)""",
        remedy="The balance is not the sum of its transfers: a trigger was switched off. " + CORRECT,
    ),
    Check(
        name="held balance",
        query="""
            SELECT 'wallet ' || w.id, coalesce(h.sum, 0), w.held_nano
            FROM ledger_wallet w LEFT JOIN (
                SELECT wallet_id, sum(amount_nano) FROM ledger_hold WHERE status = 'open' GROUP BY wallet_id
            ) AS h ON h.wallet_id = w.id
            WHERE w.held_nano <> coalesce(h.sum, 0)""",
        remedy="What is held is not the sum of the open holds: a trigger was switched off. " + CORRECT,
    ),
    Check(
        name="wallet of a row",
        query="""
            SELECT 'transfer ' || t.key, 'two wallets', 'at most one' FROM ledger_transfer t
            LEFT JOIN ledger_wallet d ON d.id = t.debit_id LEFT JOIN ledger_wallet c ON c.id = t.credit_id
            WHERE d.id IS NULL OR c.id IS NULL
            UNION ALL
            SELECT 'hold ' || h.id, 'a wallet', 'none' FROM ledger_hold h LEFT JOIN ledger_wallet w ON w.id = h.wallet_id
            WHERE w.id IS NULL""",
        remedy="The wallet was removed from under it: restore the row from a backup.",
    ),
    Check(
        name="sum of all wallets",
        query="SELECT 'all wallets', 0, sum(posted_nano) FROM ledger_wallet HAVING sum(posted_nano) <> 0",
        remedy="Money appeared or vanished: the wallets named under 'posted balance' say where.",
    ),
    Check(
        name="credited count",
        query="""
            SELECT 'wallet ' || w.id, coalesce(t.sum, 0), w.credited_nano
            FROM ledger_wallet w LEFT JOIN (
                SELECT wallet, sum(came) FROM (
                    SELECT credit_id AS wallet, amount_nano AS came FROM ledger_transfer WHERE kind <> 'return'
                    UNION ALL SELECT debit_id, -amount_nano FROM ledger_transfer WHERE kind = 'clawback') AS legs GROUP BY wallet
            ) AS t ON t.wallet = w.id
            WHERE w.credited_nano <> coalesce(t.sum, 0)""",
        remedy="What is held back is computed from this count, and it is not the sum of the transfers: a trigger was switched off. "
        + CORRECT,
    ),
    Check(
        name="release of earnings",
        query="""
            SELECT 'release ' || r.id || ' of wallet ' || r.wallet_id, 'at most ' || coalesce(w.credited_nano, 0), r.credited_nano
            FROM ledger_earningsrelease r LEFT JOIN ledger_wallet w ON w.id = r.wallet_id AND w.kind = 'earnings'
            WHERE r.credited_nano > coalesce(w.credited_nano, 0)""",
        remedy="More earnings were let go than ever came in: a trigger was switched off. Freeze the payouts, and find out what wrote it.",
    ),
    Check(
        name="newest mark of earnings",
        query="""
            SELECT 'wallet ' || m.wallet_id || ', mark ' || m.id, 'at most ' || coalesce(sum(t.amount_nano), 0), m.credited_nano
            FROM (SELECT DISTINCT ON (wallet_id) * FROM ledger_earningsmark ORDER BY wallet_id, at DESC, id DESC) AS m
            LEFT JOIN ledger_transfer t ON t.credit_id = m.wallet_id AND t.kind <> 'return' AND t.created_at <= m.at
            GROUP BY m.wallet_id, m.id, m.credited_nano HAVING m.credited_nano > coalesce(sum(t.amount_nano), 0)""",
        remedy="The mark makes earnings available before they were there: delete it. The next one is made within the hour.",
    ),
)
