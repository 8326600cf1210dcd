"""Those who run the store may write down what was done about a row in quarantine."""

from typing import Any

from django.db import migrations

from store.backoffice.groups import make_groups


def groups(apps: Any, _schema_editor: Any) -> None:
    make_groups(apps, {"backoffice": (), "billing": ()})


class Migration(migrations.Migration):
    dependencies = [("backoffice", "0004_retries_and_releases"), ("billing", "0007_quarantine_is_resolved")]
    operations = [migrations.RunPython(groups, migrations.RunPython.noop)]
