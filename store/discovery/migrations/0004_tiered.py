"""An index of its own for tiers: what they hold is found without looking at what else is in the store."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models

# Their listings have no keys in the new column. Until the clock draws them anew, and takes the keys of these away, searches do without.
DRAW_ANEW = "UPDATE discovery_tier SET is_ready = false"
OUT_OF_LINE = "ALTER TABLE discovery_listingindex ALTER COLUMN tiered SET STORAGE EXTERNAL"
# How frequent a word is says whether a query needs tiers at all (passes.FEW_LISTINGS): known for more words, it more often does not.
KNOWN_WORDS = "ALTER TABLE discovery_listingindex ALTER COLUMN keys SET STATISTICS 300"


class Migration(migrations.Migration):
    dependencies = [("discovery", "0003_speed")]

    operations = [
        migrations.AddField(
            model_name="listingindex",
            name="tiered",
            field=django.contrib.postgres.search.SearchVectorField(null=True),
        ),
        migrations.RunSQL(OUT_OF_LINE, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(KNOWN_WORDS, reverse_sql=migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="listingindex",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("tiered__isnull", False)),
                fastupdate=False,
                fields=["tiered"],
                name="found_in_tiers",
            ),
        ),
        migrations.RunSQL(DRAW_ANEW, reverse_sql=migrations.RunSQL.noop),
    ]
