"""A release never changes: the database refuses, whoever asks."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION catalog_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: a release never changes', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER release_is_for_ever BEFORE UPDATE OR DELETE ON catalog_release
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_refuse();
CREATE TRIGGER release_file_is_for_ever BEFORE UPDATE OR DELETE ON catalog_releasefile
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_refuse();
CREATE TRIGGER blob_is_for_ever BEFORE UPDATE ON catalog_blob
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_refuse();
CREATE TRIGGER price_is_for_ever BEFORE UPDATE OR DELETE ON catalog_price
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_refuse();
CREATE TRIGGER release_no_truncate BEFORE TRUNCATE ON catalog_release FOR EACH STATEMENT EXECUTE FUNCTION catalog_refuse();
CREATE TRIGGER file_no_truncate BEFORE TRUNCATE ON catalog_releasefile FOR EACH STATEMENT EXECUTE FUNCTION catalog_refuse();
CREATE TRIGGER price_no_truncate BEFORE TRUNCATE ON catalog_price FOR EACH STATEMENT EXECUTE FUNCTION catalog_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]
    operations = [migrations.RunSQL(REFUSE, reverse_sql=migrations.RunSQL.noop)]
