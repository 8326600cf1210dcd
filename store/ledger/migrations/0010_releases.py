"""Earnings that somebody who runs the store has let go before their time: rows that stay, and that let go of nothing that never came in."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

RELEASES_STAY = """
CREATE FUNCTION ledger_release_is_earned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM ledger_wallet WHERE id = NEW.wallet_id AND kind = 'earnings' AND credited_nano >= NEW.credited_nano FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only what has come into an earnings wallet is let go' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER release_is_earned BEFORE INSERT ON ledger_earningsrelease FOR EACH ROW EXECUTE FUNCTION ledger_release_is_earned();
CREATE TRIGGER release_is_for_ever BEFORE UPDATE OR DELETE ON ledger_earningsrelease
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER release_no_truncate BEFORE TRUNCATE ON ledger_earningsrelease FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0009_freezes_stay")]
    operations = [
        migrations.CreateModel(
            name="EarningsRelease",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credited_nano", models.BigIntegerField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="releases",
                        to="ledger.wallet",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(RELEASES_STAY, reverse_sql=migrations.RunSQL.noop),
    ]
