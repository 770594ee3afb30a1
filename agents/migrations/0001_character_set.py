"""Whatever a MySQL server's default is, tables made from here on take every character."""

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def take_every_character(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute("ALTER DATABASE CHARACTER SET utf8mb4")


class Migration(migrations.Migration):
    initial = True
    atomic = False  # MySQL can't take such a statement back
    dependencies = []
    operations = [migrations.RunPython(take_every_character, migrations.RunPython.noop)]
