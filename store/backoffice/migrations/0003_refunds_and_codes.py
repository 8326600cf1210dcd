"""Payments are given back, and promo codes made and ended, as actions of the trail."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from store.backoffice.groups import make_groups

# Of a row that is decided, these change; whatever else there is stays, now and later.
STAYS = """
CREATE OR REPLACE FUNCTION backoffice_action_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    decision text[] := ARRAY['status', 'decided_by_id', 'decided_at', 'answer'];
BEGIN
    IF TG_OP <> 'UPDATE' OR OLD.status <> 'waiting' OR NEW.status = 'waiting'
       OR to_jsonb(NEW) - decision IS DISTINCT FROM to_jsonb(OLD) - decision THEN
        RAISE EXCEPTION 'an action is decided once, and stays as it was written'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def groups(apps: Any, _schema_editor: Any) -> None:
    make_groups(apps, {"backoffice": (), "billing": ("refundorder",)})


class Migration(migrations.Migration):
    dependencies = [
        ("backoffice", "0002_laws"),
        ("billing", "0006_refund_orders"),
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
                    ("decide_actions", "Can approve and refuse what others ask for"),
                ],
                "verbose_name": "action",
                "verbose_name_plural": "actions",
            },
        ),
        migrations.AddField(
            model_name="adminaction",
            name="code",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="billing.promocode"
            ),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="of_spent",
            field=models.BooleanField(default=False, verbose_name="of spent credit, too"),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="terms",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="topup",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="billing.topup"
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
                ],
                max_length=16,
                verbose_name="what",
            ),
        ),
        migrations.RunSQL(STAYS, reverse_sql=migrations.RunSQL.noop),
        migrations.RunPython(groups, migrations.RunPython.noop),
    ]
