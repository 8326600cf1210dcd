"""Those who run the store may write down what was done about a row in quarantine; a top-up is called a payment in the trail."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from store.backoffice.groups import make_groups


def groups(apps: Any, _schema_editor: Any) -> None:
    make_groups(apps, {"backoffice": (), "billing": ()})


class Migration(migrations.Migration):
    dependencies = [("backoffice", "0004_retries_and_releases"), ("billing", "0007_quarantine_is_resolved")]
    operations = [
        migrations.AlterField(
            model_name="adminaction",
            name="topup",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.topup",
                verbose_name="payment",
            ),
        ),
        migrations.RunPython(groups, migrations.RunPython.noop),
    ]
