from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0013_run_attempts"),
    ]

    operations = [
        migrations.CreateModel(
            name="ExternalSession",
            fields=[
                ("key", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("service", models.CharField(db_index=True, max_length=100)),
                ("principal", models.CharField(default="", max_length=64)),
                ("used_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
