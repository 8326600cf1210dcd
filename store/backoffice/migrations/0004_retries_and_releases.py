"""Payouts are tried again, and earnings that are held back are let go, as actions of the trail."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from store.backoffice.groups import make_groups


def groups(apps: Any, _schema_editor: Any) -> None:
    make_groups(apps, {"backoffice": (), "ledger": ("earningsrelease",)})


class Migration(migrations.Migration):
    dependencies = [
        ("backoffice", "0003_refunds_and_codes"),
        ("payouts", "0002_by_the_store"),
        ("ledger", "0010_releases"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="adminaction",
            options={
                "permissions": [
                    ("view_books", "Can see the dashboard and export the books"),
                    ("grant_credit", "Can grant credit"),
                    ("adjust_books", "Can correct the books by transfers"),
                    ("refund_payments", "Can give payments back"),
                    ("manage_codes", "Can make and end promo codes"),
                    ("freeze_money", "Can freeze spending and payouts"),
                    ("run_payouts", "Can run payouts"),
                    ("release_earnings", "Can release earnings that are held back"),
                    ("decide_actions", "Can approve and refuse what others ask for"),
                ],
                "verbose_name": "action",
                "verbose_name_plural": "actions",
            },
        ),
        migrations.AddField(
            model_name="adminaction",
            name="earnings_mark",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="payout",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="payouts.payout"
            ),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="kind",
            field=models.CharField(
                choices=[
                    ("grant", "Grant credit"),
                    ("adjust", "Correction by transfer"),
                    ("refund", "Refund"),
                    ("promo_code", "Make a promo code"),
                    ("end_code", "End a promo code"),
                    ("freeze_spending", "Freeze spending"),
                    ("lift_spending", "Let spend again"),
                    ("freeze_payouts", "Freeze payouts"),
                    ("lift_payouts", "Let be paid out again"),
                    ("payout", "Run a payout"),
                    ("retry_payout", "Try a payout again"),
                    ("release_earnings", "Release held-back earnings"),
                ],
                max_length=16,
                verbose_name="what",
            ),
        ),
        migrations.RunPython(groups, migrations.RunPython.noop),
    ]
