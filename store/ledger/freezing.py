"""What an organization may not do with its money for now. Set under the locks of what it spends and of what it has earned."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models.functions import Now

from store.accounts.models import Organization
from store.ledger.actions import lock_wallets, wallet_of
from store.ledger.errors import PayoutsFrozen
from store.ledger.models import Freeze, Frozen, WalletKind
from store.ledger.sql import array, execute


def freeze(*, organization: Organization, what: Frozen) -> bool:
    """From the moment this commits, nothing of the kind begins; what is under way ends as it would. False where it was frozen."""
    wallets = [wallet_of(organization.pk, kind).pk for kind in (WalletKind.CREDIT, WalletKind.EARNINGS)]
    with transaction.atomic():
        lock_wallets(wallets)
        _row, is_new = Freeze.objects.current().get_or_create(organization=organization, what=what)
    return is_new


def lift(*, organization: Organization, what: Frozen) -> bool:
    """Ends a freeze. False where there was none."""
    return Freeze.objects.current().filter(organization=organization, what=what).update(lifted_at=Now()) == 1


def spending_frozen(organization_ids: Iterable[int]) -> set[int]:
    """Which of these may begin nothing that costs. A statement of its own, after their credit is locked: so it sees what came before."""
    rows = execute(
        """SELECT organization_id FROM ledger_freeze
           WHERE organization_id = ANY(%s::bigint[]) AND what = 'spending' AND lifted_at IS NULL""",
        array(organization_ids),
    )
    return {organization_id for (organization_id,) in rows}


def check_payouts(organization: Organization) -> None:
    """Inside the lock of the organization's earnings. Raises PayoutsFrozen."""
    if Freeze.objects.current().filter(organization=organization, what=Frozen.PAYOUTS).exists():
        raise PayoutsFrozen
