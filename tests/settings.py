"""The site's settings for tests: nothing of the developer's own environment or `.env`.

MYAGENT_TEST_DATABASE_URL names the database server; without it, SQLite in a temporary folder.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import environ

from myagent_site.options import OPTIONS

_folder = tempfile.mkdtemp(prefix="myagent-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

for _option in OPTIONS:
    os.environ.pop(_option.name, None)
_here = {
    "DATABASE_URL": os.environ.get("MYAGENT_TEST_DATABASE_URL", f"sqlite:///{_folder}/site.db"),
    "MYAGENT_VAR_DIR": _folder,
    "SECRET_KEY": "for tests only, and long enough to pass Django's own checks",
}
os.environ.update(_here)
_read_env = environ.Env.read_env
environ.Env.read_env = classmethod(lambda *_, **__: None)  # type: ignore[assignment]

from myagent_site.settings import *  # noqa: E402, F403
from myagent_site.settings import DATABASES  # noqa: E402

# Processes that tests start get settings of their own.
environ.Env.read_env = _read_env  # type: ignore[method-assign]
for _name in _here:
    del os.environ[_name]

# A file, not memory: the site's threads have connections of their own.
DATABASES["default"]["TEST"] = {
    "NAME": f"{_folder}/test.db" if "sqlite" in DATABASES["default"]["ENGINE"] else "test_myagent"
}

# Real ones take long by design, and these passwords protect nothing.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
