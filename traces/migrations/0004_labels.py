import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0013_run_attempts"),
        ("traces", "0003_spans_of_tools"),
    ]

    operations = [
        migrations.CreateModel(
            name="Label",
            fields=[
                ("key", models.CharField(max_length=32, primary_key=True, serialize=False)),
                (
                    "session",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="labels",
                        to="agents.session",
                    ),
                ),
            ],
        ),
    ]
