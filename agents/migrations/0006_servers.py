from typing import Any

from django.db import migrations, models
from django.db.models.functions import Now

from agents.runtime.process import is_provably_gone
from agents.runtime.schema import OldProcess


def refuse_beside_the_living(apps: Any, schema_editor: Any) -> None:
    """What runs the code of before would go on with tables that are not there any more."""
    runners = apps.get_model("agents", "Runner").objects
    for runner in runners.filter(ended_at__isnull=True, lease_until__gt=Now()):
        if not is_provably_gone(runner.process):
            raise OldProcess(runner.service, runner.host, runner.process)


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0005_runs_blame_no_process"),
    ]

    operations = [
        migrations.RunPython(refuse_beside_the_living, migrations.RunPython.noop),
        migrations.RenameModel("Runner", "Server"),
        migrations.RenameField("Session", "runner", "owner"),
        migrations.AddField(
            model_name="server",
            name="address",
            field=models.CharField(default="", max_length=191),
        ),
        migrations.AlterField(
            model_name="server",
            name="service",
            field=models.CharField(db_index=True, default="", max_length=100),
        ),
    ]
