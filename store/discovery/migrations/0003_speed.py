"""Rows that are small to visit: the lexemes out of line, room on the page, and indexes for narrow ranges."""

from django.db import migrations, models

# A search visits a few thousand rows and looks at none of their keys: the index has answered for them. Figures of use change often and keys
# seldom: with room on the page PostgreSQL then leaves the indexes alone.
SMALL = """
ALTER TABLE discovery_listingindex SET (fillfactor = 80, toast_tuple_target = 1024);
ALTER TABLE discovery_listingindex ALTER COLUMN keys SET STORAGE EXTERNAL;
ALTER TABLE discovery_listingindex ALTER COLUMN heading SET STORAGE MAIN;
ALTER TABLE discovery_listingindex ALTER COLUMN facets SET STORAGE MAIN;
"""


class Migration(migrations.Migration):
    dependencies = [("discovery", "0002_laws")]

    operations = [
        migrations.RunSQL(SMALL, reverse_sql=migrations.RunSQL.noop),
        migrations.RemoveIndex(
            model_name="listingindex",
            name="found_by_name",
        ),
        migrations.RemoveIndex(
            model_name="listingindex",
            name="found_by_slug",
        ),
        migrations.AddIndex(
            model_name="listingindex",
            index=models.Index(fields=["parameters"], name="found_by_parameters"),
        ),
        migrations.AddIndex(
            model_name="listingindex",
            index=models.Index(fields=["context_length"], name="found_by_context"),
        ),
        migrations.AddIndex(
            model_name="listingindex",
            index=models.Index(fields=["price_nano"], name="found_by_price"),
        ),
        migrations.AddIndex(
            model_name="listingindex",
            index=models.Index(fields=["tokens_per_s_1"], name="found_by_speed"),
        ),
        migrations.AddIndex(
            model_name="listingindex",
            index=models.Index(fields=["perplexity"], name="found_by_perplexity"),
        ),
    ]
