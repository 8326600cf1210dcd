"""Triggers that keep the index true: what is not public leaves it in the same transaction, what has changed is marked.

They stand on tables of apps to the left, which know nothing of this one (see ``store.discovery.models``).
"""

from django.db import migrations

MARK = """
CREATE FUNCTION discovery_is_public(l catalog_listing) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT l.status IN ('published', 'deprecated') AND NOT l.is_private AND l.deleted_at IS NULL
       AND l.current_release_id IS NOT NULL
$$;

CREATE FUNCTION discovery_listing_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was_public boolean := false;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        was_public := discovery_is_public(OLD);
    END IF;
    IF discovery_is_public(NEW) THEN
        INSERT INTO discovery_change (listing_id, is_urgent) VALUES (NEW.id, true);
    ELSIF was_public THEN
        DELETE FROM discovery_listingindex WHERE listing_id = NEW.id;
    END IF;
    IF was_public <> discovery_is_public(NEW) THEN  -- those made from it name it, or do not any more
        INSERT INTO discovery_change (listing_id, is_urgent)
            SELECT id, false FROM catalog_listing WHERE base_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER discovery_listing_changed AFTER INSERT OR UPDATE ON catalog_listing
    FOR EACH ROW EXECUTE FUNCTION discovery_listing_changed();

CREATE FUNCTION discovery_price_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO discovery_change (listing_id, is_urgent) VALUES (NEW.listing_id, true);
    RETURN NULL;
END $$;
CREATE TRIGGER discovery_price_changed AFTER INSERT ON catalog_price
    FOR EACH ROW EXECUTE FUNCTION discovery_price_changed();

CREATE FUNCTION discovery_measured() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO discovery_change (listing_id, is_urgent)
        SELECT listing_id, true FROM catalog_release WHERE id = NEW.release_id;
    RETURN NULL;
END $$;
CREATE TRIGGER discovery_measured AFTER INSERT OR UPDATE ON catalog_measurement
    FOR EACH ROW WHEN (NEW.status = 'done') EXECUTE FUNCTION discovery_measured();

CREATE FUNCTION discovery_provider_renamed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO discovery_change (listing_id, is_urgent)
        SELECT id, false FROM catalog_listing WHERE organization_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER discovery_provider_renamed AFTER UPDATE ON accounts_organization
    FOR EACH ROW WHEN (OLD.slug <> NEW.slug OR OLD.name <> NEW.name) EXECUTE FUNCTION discovery_provider_renamed();

CREATE FUNCTION discovery_standing_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN  -- a new rating is waited for by who has just given it; figures of use can wait for the clock
    INSERT INTO discovery_change (listing_id, is_urgent)
        VALUES (NEW.listing_id, TG_OP = 'UPDATE' AND (OLD.rating, OLD.rating_count) <> (NEW.rating, NEW.rating_count));
    RETURN NULL;
END $$;
CREATE TRIGGER discovery_standing_changed AFTER INSERT OR UPDATE ON discovery_standing
    FOR EACH ROW EXECUTE FUNCTION discovery_standing_changed();
"""

COUNT = """
CREATE FUNCTION discovery_count_facets() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before text[] := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE OLD.facets END;
    after text[] := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE NEW.facets END;
BEGIN
    INSERT INTO discovery_facetdelta (facet, value, delta)
        SELECT split_part(one, ':', 1), substr(one, strpos(one, ':') + 1), delta
        FROM (SELECT unnest(after) AS one, 1 AS delta UNION ALL SELECT unnest(before), -1) AS changed
        GROUP BY one, delta
        HAVING NOT (one = ANY(before) AND one = ANY(after));
    RETURN NULL;
END $$;
CREATE TRIGGER discovery_count_facets AFTER INSERT OR DELETE OR UPDATE OF facets ON discovery_listingindex
    FOR EACH ROW EXECUTE FUNCTION discovery_count_facets();
"""

EVERYTHING = """
INSERT INTO discovery_change (listing_id, is_urgent) SELECT id, false FROM catalog_listing l WHERE discovery_is_public(l);
"""


class Migration(migrations.Migration):
    dependencies = [("discovery", "0001_initial")]
    operations = [
        migrations.RunSQL(MARK, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(COUNT, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(EVERYTHING, reverse_sql=migrations.RunSQL.noop),
    ]
