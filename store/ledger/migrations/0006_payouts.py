"""Payouts: what is in flight, what had come into a wallet and when, and that no provider's wallet goes below zero."""

import django.db.models.deletion
from django.db import migrations, models

MOVE_POSTED = """
CREATE OR REPLACE FUNCTION ledger_transfer_moves_money() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
    wanted bigint;
BEGIN
    PERFORM FROM ledger_wallet WHERE id IN (SELECT debit_id FROM moved UNION SELECT credit_id FROM moved)
        ORDER BY kind <> 'credit', id FOR NO KEY UPDATE;
    GET DIAGNOSTICS found = ROW_COUNT;
    SELECT count(*) INTO wanted FROM (SELECT debit_id FROM moved UNION SELECT credit_id FROM moved) AS w;
    IF found <> wanted THEN
        RAISE EXCEPTION 'a transfer names a wallet that does not exist' USING ERRCODE = 'foreign_key_violation';
    END IF;
    UPDATE ledger_wallet w SET posted_nano = posted_nano + d.delta, credited_nano = credited_nano + d.came
    FROM (SELECT wallet, sum(delta)::bigint AS delta, sum(came)::bigint AS came
          FROM (SELECT debit_id AS wallet, -amount_nano AS delta, CASE kind WHEN 'clawback' THEN -amount_nano ELSE 0 END AS came FROM moved
                UNION ALL SELECT credit_id, amount_nano, CASE kind WHEN 'return' THEN 0 ELSE amount_nano END FROM moved) AS legs
          GROUP BY wallet) AS d
    WHERE w.id = d.wallet AND (d.delta <> 0 OR d.came <> 0);
    RETURN NULL;
END $$;
"""
# The guard of balances refuses every change by hand: it is off for this one statement.
COUNT = """
ALTER TABLE ledger_wallet DISABLE TRIGGER wallet_balance_is_a_cache;
UPDATE ledger_wallet w SET credited_nano = t.sum
FROM (SELECT credit_id, sum(amount_nano) FROM ledger_transfer GROUP BY credit_id) AS t WHERE t.credit_id = w.id;
ALTER TABLE ledger_wallet ENABLE TRIGGER wallet_balance_is_a_cache;
"""
# What providers had earned before there were marks becomes available in its time, too: a mark for the end of each day.
MARK = """
INSERT INTO ledger_earningsmark (wallet_id, at, credited_nano)
SELECT credit_id, least(day + interval '1 day', now()), sum(sum) OVER (PARTITION BY credit_id ORDER BY day)
FROM (SELECT t.credit_id, date_trunc('day', t.created_at) AS day, sum(t.amount_nano) FROM ledger_transfer t
      JOIN ledger_wallet w ON w.id = t.credit_id AND w.kind = 'earnings' GROUP BY 1, 2) AS days;
"""
BEGIN_EMPTY = """
CREATE OR REPLACE FUNCTION ledger_guard_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.posted_nano <> 0 OR NEW.held_nano <> 0 OR NEW.credited_nano <> 0 THEN
            RAISE EXCEPTION 'a wallet begins empty' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF (NEW.id, NEW.organization_id, NEW.kind) IS DISTINCT FROM (OLD.id, OLD.organization_id, OLD.kind) THEN
        RAISE EXCEPTION 'a wallet stays whose and what it is' USING ERRCODE = 'integrity_constraint_violation';
    ELSIF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'a balance moves by transfers and holds only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""
KINDS_OF_WALLET = [
    ("credit", "Credit"), ("disputed", "Disputed"), ("earnings", "Earnings"), ("in_flight", "In flight"), ("platform", "Platform"),
    ("bank", "Bank"), ("test_bank", "Test bank"),
]  # fmt: skip
KINDS_OF_TRANSFER = [
    ("topup", "Top-up"), ("usage", "Usage"), ("commission", "Commission"), ("royalty", "Royalty"), ("grant", "Grant"),
    ("refund", "Refund"), ("dispute", "Dispute"), ("payout", "Payout"), ("payout_fee", "Fee of a payout"), ("return", "Payout returned"),
    ("clawback", "Earnings taken back"), ("correction", "Correction"),
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_stripe")]
    operations = [
        migrations.AlterField("wallet", "kind", models.CharField(choices=KINDS_OF_WALLET, max_length=10)),
        migrations.AlterField("transfer", "kind", models.CharField(choices=KINDS_OF_TRANSFER, max_length=12)),
        migrations.AddField(
            "wallet",
            "credited_nano",
            models.BigIntegerField(default=0, db_default=0, editable=False, verbose_name="credited"),
        ),
        migrations.AddConstraint(
            "wallet",
            models.CheckConstraint(
                condition=~models.Q(kind__in=("earnings", "in_flight")) | models.Q(posted_nano__gte=0),
                name="wallet_of_a_provider_not_negative",
            ),
        ),
        migrations.CreateModel(
            name="EarningsMark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("credited_nano", models.BigIntegerField()),
                (
                    "wallet",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="marks",
                        to="ledger.wallet",
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["wallet", "-at"], name="earnings_mark_newest")]},
        ),
        *(
            migrations.RunSQL(law, reverse_sql=migrations.RunSQL.noop)
            for law in (MOVE_POSTED, BEGIN_EMPTY, COUNT, MARK)
        ),
    ]
