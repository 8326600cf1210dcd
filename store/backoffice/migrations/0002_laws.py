"""The trail of what people did with money stays as it was written, and the groups of those who may do it are made."""

from typing import Any

from django.db import migrations

from store.backoffice.groups import make_groups

READS = {  # the tables that there were then
    "accounts": ("organization",),
    "backoffice": ("adminaction", "auditrun", "auditfinding", "ledgerday", "walletday", "payingcustomer"),
    "billing": ("topup", "refund", "dispute", "quarantine", "stripeevent", "grant", "promocode"),
    "ledger": ("wallet", "transfer", "hold", "sharesplan", "freeze"),
    "payouts": ("connectaccount", "payout", "payoutschedule"),
    "runs": ("run",),
    "tuning": ("tunejob",),
}
STAYS = """
CREATE FUNCTION backoffice_action_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR OLD.status <> 'waiting' OR NEW.status = 'waiting'
       OR (NEW.id, NEW.kind, NEW.organization_id, NEW.debit_id, NEW.credit_id, NEW.amount_nano, NEW.days, NEW.note, NEW.reason,
           NEW.needs_approval, NEW.requested_by_id, NEW.created_at, NEW.expires_at)
          IS DISTINCT FROM
          (OLD.id, OLD.kind, OLD.organization_id, OLD.debit_id, OLD.credit_id, OLD.amount_nano, OLD.days, OLD.note, OLD.reason,
           OLD.needs_approval, OLD.requested_by_id, OLD.created_at, OLD.expires_at) THEN
        RAISE EXCEPTION 'an action is decided once, and stays as it was written'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER action_stays BEFORE UPDATE OR DELETE ON backoffice_adminaction
    FOR EACH ROW EXECUTE FUNCTION backoffice_action_stays();
CREATE TRIGGER action_no_truncate BEFORE TRUNCATE ON backoffice_adminaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
"""


def groups(apps: Any, _schema_editor: Any) -> None:
    make_groups(apps, READS)


class Migration(migrations.Migration):
    dependencies = [
        ("backoffice", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("billing", "0003_grants"),
        ("payouts", "0001_initial"),
        ("runs", "0005_royalties"),
        ("tuning", "0003_file_uploads"),
    ]
    operations = [
        migrations.RunSQL(STAYS, reverse_sql=migrations.RunSQL.noop),
        migrations.RunPython(groups, migrations.RunPython.noop),
    ]
