"""What the people who run the store do with money, and what they see of it."""

from store.backoffice.models.action import ActionKind, ActionStatus, AdminAction
from store.backoffice.models.audit import AuditFinding, AuditRun, AuditSource
from store.backoffice.models.customer import PayingCustomer
from store.backoffice.models.day import LedgerDay, WalletDay

__all__ = [
    "ActionKind",
    "ActionStatus",
    "AdminAction",
    "AuditFinding",
    "AuditRun",
    "AuditSource",
    "LedgerDay",
    "PayingCustomer",
    "WalletDay",
]
