from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0014_external_sessions"),
    ]

    operations = [
        migrations.AddField(
            model_name="server",
            name="judges_from",
            field=models.DateTimeField(null=True),
        ),
    ]
