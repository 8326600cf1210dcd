"""The laws of money, where no program can go round them.

Every trigger that changes balances locks the wallets first, credit wallets by id and then the others by id: the lock order that
``ledger.actions`` describes. All work on the whole statement at once.
"""

from django.db import migrations

MOVE_POSTED = """
CREATE FUNCTION ledger_transfer_moves_money() RETURNS trigger LANGUAGE plpgsql AS $$
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
    UPDATE ledger_wallet w SET posted_nano = posted_nano + d.delta
    FROM (SELECT wallet, sum(delta)::bigint AS delta
          FROM (SELECT debit_id AS wallet, -amount_nano AS delta FROM moved
                UNION ALL SELECT credit_id, amount_nano FROM moved) AS legs
          GROUP BY wallet) AS d
    WHERE w.id = d.wallet AND d.delta <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER transfer_moves_money AFTER INSERT ON ledger_transfer
    REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION ledger_transfer_moves_money();
"""
MOVE_HELD = """
CREATE FUNCTION ledger_hold_takes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
    wanted bigint;
BEGIN
    IF EXISTS (SELECT FROM taken WHERE status <> 'open') THEN
        RAISE EXCEPTION 'a hold begins open' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    PERFORM FROM ledger_wallet WHERE id IN (SELECT wallet_id FROM taken) ORDER BY kind <> 'credit', id FOR NO KEY UPDATE;
    GET DIAGNOSTICS found = ROW_COUNT;
    SELECT count(DISTINCT wallet_id) INTO wanted FROM taken;
    IF found <> wanted THEN
        RAISE EXCEPTION 'a hold names a wallet that does not exist' USING ERRCODE = 'foreign_key_violation';
    END IF;
    UPDATE ledger_wallet w SET held_nano = held_nano + d.delta
    FROM (SELECT wallet_id, sum(amount_nano)::bigint AS delta FROM taken GROUP BY wallet_id) AS d
    WHERE w.id = d.wallet_id AND d.delta <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER hold_takes AFTER INSERT ON ledger_hold
    REFERENCING NEW TABLE AS taken FOR EACH STATEMENT EXECUTE FUNCTION ledger_hold_takes();

CREATE FUNCTION ledger_hold_releases() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM new_holds n LEFT JOIN old_holds o USING (id)
               WHERE o.status IS DISTINCT FROM 'open' OR n.status = 'open'
                  OR (n.wallet_id, n.amount_nano, n.created_at, n.expires_at)
                     IS DISTINCT FROM (o.wallet_id, o.amount_nano, o.created_at, o.expires_at)) THEN
        RAISE EXCEPTION 'a hold is resolved once, and changes in nothing else' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    PERFORM FROM ledger_wallet WHERE id IN (SELECT wallet_id FROM new_holds) ORDER BY kind <> 'credit', id FOR NO KEY UPDATE;
    UPDATE ledger_wallet w SET held_nano = held_nano - d.delta
    FROM (SELECT wallet_id, sum(amount_nano)::bigint AS delta FROM new_holds GROUP BY wallet_id) AS d
    WHERE w.id = d.wallet_id AND d.delta <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER hold_releases AFTER UPDATE ON ledger_hold
    REFERENCING OLD TABLE AS old_holds NEW TABLE AS new_holds FOR EACH STATEMENT EXECUTE FUNCTION ledger_hold_releases();
"""
REFUSE = """
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: books are corrected by new rows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER transfer_is_for_ever BEFORE UPDATE OR DELETE ON ledger_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER hold_is_for_ever BEFORE DELETE ON ledger_hold FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER wallet_is_for_ever BEFORE DELETE ON ledger_wallet FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
-- By another name each: the test suite, which empties its own database between tests, takes these away there.
CREATE TRIGGER transfer_no_truncate BEFORE TRUNCATE ON ledger_transfer FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER hold_no_truncate BEFORE TRUNCATE ON ledger_hold FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER wallet_no_truncate BEFORE TRUNCATE ON ledger_wallet FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();

CREATE FUNCTION ledger_guard_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.posted_nano <> 0 OR NEW.held_nano <> 0 THEN
            RAISE EXCEPTION 'a wallet begins empty' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF (NEW.id, NEW.organization_id, NEW.kind) IS DISTINCT FROM (OLD.id, OLD.organization_id, OLD.kind) THEN
        RAISE EXCEPTION 'a wallet stays whose and what it is' USING ERRCODE = 'integrity_constraint_violation';
    ELSIF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'a balance moves by transfers and holds only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER wallet_begins_empty BEFORE INSERT ON ledger_wallet FOR EACH ROW EXECUTE FUNCTION ledger_guard_balance();
CREATE TRIGGER wallet_balance_is_a_cache BEFORE UPDATE ON ledger_wallet
    FOR EACH ROW EXECUTE FUNCTION ledger_guard_balance();
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [
        migrations.RunSQL(law, reverse_sql=migrations.RunSQL.noop) for law in (MOVE_POSTED, MOVE_HELD, REFUSE)
    ]
