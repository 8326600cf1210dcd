"""A plan and what was paid for a month never change: the database refuses, whoever asks."""

from django.db import migrations

KEEP = """
CREATE FUNCTION subscriptions_keep_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.retired_at IS NOT NULL OR to_jsonb(NEW) - 'retired_at' IS DISTINCT FROM to_jsonb(OLD) - 'retired_at' THEN
        RAISE EXCEPTION 'a plan never changes, and is retired once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION subscriptions_keep_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.ends_at > OLD.ends_at
       OR to_jsonb(NEW) - '{ends_at,used_input,used_output}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{ends_at,used_input,used_output}'::text[] THEN
        RAISE EXCEPTION 'of a month only what is used of it changes, and its end to a sooner one' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION subscriptions_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: it was paid for', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER plan_is_for_ever BEFORE UPDATE ON subscriptions_subscriptionplan FOR EACH ROW EXECUTE FUNCTION subscriptions_keep_plan();
CREATE TRIGGER period_is_for_ever BEFORE UPDATE ON subscriptions_subscriptionperiod FOR EACH ROW EXECUTE FUNCTION subscriptions_keep_period();
CREATE TRIGGER plan_is_kept BEFORE DELETE ON subscriptions_subscriptionplan FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_refuse();
CREATE TRIGGER period_is_kept BEFORE DELETE ON subscriptions_subscriptionperiod FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_refuse();
CREATE TRIGGER subscription_is_kept BEFORE DELETE ON subscriptions_subscription FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_refuse();
CREATE TRIGGER plan_no_truncate BEFORE TRUNCATE ON subscriptions_subscriptionplan FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_refuse();
CREATE TRIGGER period_no_truncate BEFORE TRUNCATE ON subscriptions_subscriptionperiod FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_refuse();
CREATE TRIGGER subscription_no_truncate BEFORE TRUNCATE ON subscriptions_subscription FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0001_initial")]
    operations = [migrations.RunSQL(KEEP, reverse_sql=migrations.RunSQL.noop)]
