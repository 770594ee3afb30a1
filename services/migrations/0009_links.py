from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("services", "0008_use_permission"),
    ]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="address",
            field=models.CharField(blank=True, default="", max_length=255),
        ),
    ]
