"""Budgets of organizations, members and listings, besides those of keys."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import store.keys.models

OWNERS = "UPDATE keys_budget b SET organization_id = k.organization_id FROM keys_apikey k WHERE k.id = b.api_key_id"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_invitations"),
        ("keys", "0002_rotate_in_place"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="budget", options={"verbose_name": "budget", "verbose_name_plural": "budgets"}
        ),
        migrations.AddField(
            model_name="budget",
            name="organization",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="budgets",
                to="accounts.organization",
            ),
        ),
        migrations.RunSQL(OWNERS, migrations.RunSQL.noop),
        # The rows that were just changed have checks of their references pending, which the next statement cannot wait for.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL IMMEDIATE"),
        migrations.AlterField(
            model_name="budget",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="budgets", to="accounts.organization"
            ),
        ),
        migrations.AlterField(
            model_name="budget",
            name="api_key",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="budgets",
                to="keys.apikey",
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="member",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="budget", name="is_hard", field=models.BooleanField(db_default=True, default=True)
        ),
        migrations.AddField(
            model_name="budget",
            name="alert_percents",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.PositiveSmallIntegerField(),
                default=store.keys.models.default_alert_percents,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="created_at",
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
        ),
        migrations.AddField(model_name="budgetuse", name="refused_at", field=models.DateTimeField(null=True)),
        migrations.RemoveConstraint(model_name="budget", name="budget_once"),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.UniqueConstraint(
                fields=("organization", "api_key", "member", "listing", "period"),
                name="budget_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=models.Q(("api_key", None), ("member", None), _connector="OR"), name="budget_of_one_spender"
            ),
        ),
        migrations.AddIndex(
            model_name="budget",
            index=models.Index(
                condition=models.Q(("api_key", None)),
                fields=["organization", "member"],
                name="budget_of_organization",
            ),
        ),
    ]
