"""Users, tokens and logins of a site whose processes run already, made by a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.runners import ROOT

CODE = """
import json, sys
from datetime import timedelta
from django.contrib.auth.models import Permission, User
from django.test import Client
from services.tokens import issuing

made = {}
for name, facts in json.loads(sys.argv[1]).items():
    facts = dict(facts)
    limits, permissions = facts.pop("token", {}), facts.pop("permissions", ["use_service"])
    user = User.objects.filter(username=facts.pop("user", name)).first()
    user = user or User.objects.create_user(name, password="a long secret", **facts)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    if "expires" in limits:
        limits["expires"] = timedelta(seconds=limits["expires"])
    token, text = issuing.issue(user, name, **limits)
    client = Client()
    client.force_login(user)
    made[name] = {
        "token": text,
        "id": token.pk,
        "cookie": "myagent_session=" + client.cookies["myagent_session"].value,
    }
print(json.dumps(made))
"""

PATIENCE_S = 60.0


def environment_of(database_url: str, var_dir: Any) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": database_url,
        "MYAGENT_VAR_DIR": str(var_dir),
        "MYAGENT_ENV_FILE": os.devnull,
        "SECRET_KEY": "for tests only",
        "MYAGENT_AUTH": "token",
        "DJANGO_SETTINGS_MODULE": "myagent_site.settings",
    }


def make(environment: dict[str, str], **people: dict[str, Any]) -> dict[str, dict[str, str]]:
    """For each name a user with a token and a login.

    A person: fields of the user; `permissions`, by default to use agents; `user`: the name of
    another, whose the token is; `token`: its limits.
    """
    code = f"import django; django.setup()\n{CODE}"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(people)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made: dict[str, dict[str, str]] = json.loads(done.stdout)
    return made


def revoke(environment: dict[str, str], token_id: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "tokens", "revoke", token_id],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
