"""A lost dispute goes back to whom the money went: providers' earnings that are still held back, each in proportion.

What a customer spent before their bank took the payment back is with the providers whose models were called. As far as their earnings from
this customer are held back, they bear it, as they would have if the call had never been paid; the platform bears the rest.
"""

from __future__ import annotations

from django.conf import settings

from store.accounts.models import Organization
from store.billing.letters import write_to_buyers
from store.billing.models import Dispute, Topup
from store.ledger import actions as ledger
from store.ledger.dollars import dollars
from store.ledger.earnings import claw_back
from store.ledger.models import WalletKind
from store.ledger.sql import execute

# By the order of their wallets, in which they are locked.
EARNED = """
SELECT w.organization_id, sum(t.amount_nano)::bigint FROM ledger_transfer t
JOIN ledger_wallet c ON c.id = t.debit_id AND c.kind = 'credit' AND c.organization_id = %s
JOIN ledger_wallet w ON w.id = t.credit_id AND w.kind = 'earnings'
WHERE t.kind IN ('usage', 'royalty') AND t.created_at >= %s GROUP BY w.organization_id, w.id ORDER BY w.id
"""


def claw_back_lost(topup: Topup, dispute: Dispute) -> int:
    """Takes what the platform bore of a lost dispute from earnings of calls since the payment; returns nano-dollars. Once for each provider."""
    borne, platform_id = dispute.from_platform_nano, ledger.store_wallet(WalletKind.PLATFORM).pk
    if not borne:
        return 0
    earned = execute(EARNED, topup.organization_id, topup.created_at)
    total = sum(amount for _provider, amount in earned)
    taken = 0
    for provider_id, amount in earned:
        key = f"dispute:{dispute.pk}:clawback:{provider_id}"
        at_most = amount if total <= borne else borne * amount // total
        back = claw_back(key=key, organization_id=provider_id, credit_id=platform_id, at_most_nano=at_most)
        if back:
            context = {"amount": dollars(back), "url": f"{settings.PUBLIC_URL}/provider/payouts"}
            write_to_buyers(
                Organization.objects.get(pk=provider_id), key=key, template="earnings_clawed_back", context=context
            )
        taken += back
    return taken
