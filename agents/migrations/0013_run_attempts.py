from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0012_conversation_lists"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="attempts",
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
    ]
