"""What was done about a row in quarantine is written once, and nothing else of it changes."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

RESOLVED_ONCE = """
CREATE FUNCTION billing_quarantine_is_resolved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    resolution text[] := ARRAY['resolution', 'resolved_by_id', 'resolved_at'];
BEGIN
    IF TG_OP <> 'UPDATE' OR OLD.resolved_at IS NOT NULL OR NEW.resolved_at IS NULL
       OR to_jsonb(NEW) - resolution IS DISTINCT FROM to_jsonb(OLD) - resolution THEN
        RAISE EXCEPTION 'what was done about it is written once, and nothing else changes'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER quarantine_is_resolved BEFORE UPDATE OR DELETE ON billing_quarantine
    FOR EACH ROW EXECUTE FUNCTION billing_quarantine_is_resolved();
CREATE TRIGGER quarantine_no_truncate BEFORE TRUNCATE ON billing_quarantine FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0006_refund_orders"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="quarantine",
            options={"permissions": [("resolve_quarantine", "Can write down what was done about one")]},
        ),
        migrations.AddField(
            model_name="quarantine",
            name="resolution",
            field=models.TextField(blank=True, max_length=2000, verbose_name="what was done"),
        ),
        migrations.AddField(
            model_name="quarantine",
            name="resolved_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="quarantine",
            name="resolved_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="quarantine",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("resolution", ""), ("resolved_at", None), ("resolved_by", None)),
                    models.Q(
                        models.Q(("resolution", ""), _negated=True),
                        ("resolved_at__isnull", False),
                        ("resolved_by__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="quarantine_resolved_by_somebody",
            ),
        ),
        migrations.RunSQL(RESOLVED_ONCE, reverse_sql=migrations.RunSQL.noop),
    ]
