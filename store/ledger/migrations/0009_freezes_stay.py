"""A freeze is lifted once and never forgotten; a mark of earnings is never edited."""

from django.db import migrations

FREEZES_STAY = """
CREATE FUNCTION ledger_freeze_is_lifted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.lifted_at IS NOT NULL OR NEW.lifted_at IS NULL
       OR (NEW.id, NEW.organization_id, NEW.what, NEW.created_at)
          IS DISTINCT FROM (OLD.id, OLD.organization_id, OLD.what, OLD.created_at) THEN
        RAISE EXCEPTION 'a freeze is lifted once, and changes in nothing else' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER freeze_is_lifted BEFORE UPDATE ON ledger_freeze FOR EACH ROW EXECUTE FUNCTION ledger_freeze_is_lifted();
CREATE TRIGGER freeze_is_for_ever BEFORE DELETE ON ledger_freeze FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER freeze_no_truncate BEFORE TRUNCATE ON ledger_freeze FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
"""
MARKS_STAY = """
CREATE TRIGGER mark_is_not_edited BEFORE UPDATE ON ledger_earningsmark FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER mark_no_truncate BEFORE TRUNCATE ON ledger_earningsmark FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_freezing")]
    operations = [migrations.RunSQL(law, reverse_sql=migrations.RunSQL.noop) for law in (FREEZES_STAY, MARKS_STAY)]
