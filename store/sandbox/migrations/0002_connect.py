from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandbox", "0001_initial")]
    operations = [migrations.AlterField("stripeobject", "kind", models.CharField(max_length=60))]
