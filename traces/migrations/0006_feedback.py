import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("traces", "0005_waiting"),
    ]

    operations = [
        migrations.CreateModel(
            name="Feedback",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("principal", models.CharField(default="", max_length=64)),
                ("service", models.CharField(max_length=100)),
                ("model", models.CharField(default="", max_length=191)),
                ("score", models.FloatField(null=True)),
                ("comment", models.CharField(default="", max_length=2000)),
                ("given_at", models.DateTimeField()),
                (
                    "trace",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="feedback",
                        to="traces.trace",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["given_at"], name="feedback_by_time"),
                    models.Index(fields=["trace", "score"], name="feedback_by_score"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("trace", "principal"), name="feedback_once")
                ],
            },
        ),
    ]
