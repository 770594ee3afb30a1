from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0011_limits"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                fields=["principal", "updated_at"], name="session_by_principal_change"
            ),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["updated_at"], name="session_by_change"),
        ),
        migrations.RemoveIndex(model_name="session", name="session_by_principal"),
        # To read somebody's conversation is another permission than to take part in it.
        migrations.AlterModelOptions(
            name="session",
            options={
                "permissions": [
                    ("see_conversations", "Can see everybody's conversations"),
                    ("join_conversations", "Can take part in everybody's conversations"),
                ],
                "verbose_name": "conversation",
                "verbose_name_plural": "conversations",
            },
        ),
        migrations.RenameField(
            model_name="inboxrow", old_name="sees_everything", new_name="acts_everywhere"
        ),
    ]
