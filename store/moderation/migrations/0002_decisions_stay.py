"""A decision is never changed and never deleted: the database refuses, whoever asks."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION moderation_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: a decision stays', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER decision_is_for_ever BEFORE UPDATE OR DELETE ON moderation_decision
    FOR EACH STATEMENT EXECUTE FUNCTION moderation_refuse();
CREATE TRIGGER decision_no_truncate BEFORE TRUNCATE ON moderation_decision
    FOR EACH STATEMENT EXECUTE FUNCTION moderation_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("moderation", "0001_initial")]
    operations = [migrations.RunSQL(REFUSE, reverse_sql=migrations.RunSQL.noop)]
