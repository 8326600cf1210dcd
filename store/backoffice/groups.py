"""The roles of those who handle money, as groups of Django's permissions. Made by a migration; a superuser may change them afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.contrib.auth.management import create_permissions

READS: Final = {
    "accounts": ("organization",),
    "backoffice": ("adminaction", "auditrun", "auditfinding", "ledgerday", "walletday", "payingcustomer"),
    "billing": ("topup", "refund", "refundorder", "dispute", "quarantine", "stripeevent", "grant", "promocode"),
    "ledger": ("wallet", "transfer", "hold", "sharesplan", "freeze", "earningsrelease"),
    "payouts": ("connectaccount", "payout", "payoutschedule"),
    "runs": ("run",),
    "tuning": ("tunejob",),
}
OF: Final = ("backoffice", "billing")  # the apps that the permissions of OWN are of
OWN: Final = {
    "Billing operator": (
        "view_books", "grant_credit", "adjust_books", "refund_payments", "manage_codes", "freeze_money", "run_payouts", "release_earnings",
        "resolve_quarantine",
    ),
    "Billing approver": ("view_books", "decide_actions"),
    "Accountant": ("view_books",),
}  # fmt: skip


def make_groups(apps: Any, reads: dict[str, tuple[str, ...]] = READS) -> None:
    """Makes the groups, and adds what they lack. ``apps``: the registry of a migration, or Django's own.

    Permissions are rows that Django makes after all migrations; those that are named here are made now.
    """
    group, permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for label in reads:
        _make_permissions(apps.get_app_config(label), apps)
    views = [
        permission.objects.get(content_type__app_label=label, codename=f"view_{model}")
        for label, models in reads.items()
        for model in models
    ]
    for name, codenames in OWN.items():
        own = permission.objects.filter(content_type__app_label__in=OF, codename__in=codenames)
        _add(group.objects.get_or_create(name=name)[0], [*views, *own])


def _make_permissions(app_config: Any, apps: Any) -> None:
    """An app of a migration's registry has no module of models, without which Django makes none."""
    before = getattr(app_config, "models_module", None)
    app_config.models_module = before or True
    create_permissions(app_config, verbosity=0, apps=apps)
    app_config.models_module = before


def _add(group: Any, permissions: Iterable[Any]) -> None:
    group.permissions.add(*permissions)
