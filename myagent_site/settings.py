"""Settings. The environment is read here and nowhere else; `options.py` is the table."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from myagent import env_file
from myagent_site import base_path, database, secret_key, version
from myagent_site.options import OPTIONS

BASE_DIR = Path(__file__).resolve().parent.parent

VERSION = version.of_installation(BASE_DIR)

# In a checkout the database and `var/` live beside manage.py, else where the command is typed.
DATA_DIR = BASE_DIR if (BASE_DIR / "pyproject.toml").is_file() else Path.cwd()

NAMED_ENV_FILE = os.environ.get("MYAGENT_ENV_FILE", "")
ENV_FILE = Path(NAMED_ENV_FILE or DATA_DIR / ".env")
if NAMED_ENV_FILE and (ENV_FILE.is_dir() or not ENV_FILE.exists()):
    raise ImproperlyConfigured(f"MYAGENT_ENV_FILE names {ENV_FILE}, which is not a file.")
FROM_ENV_FILE: frozenset[str] = frozenset()
"""Variables that are set only because of the site's file: workers do not get them."""
if ENV_FILE.is_file():
    try:
        _found = env_file.read_env_file(ENV_FILE)
        FROM_ENV_FILE = frozenset(_found) - os.environ.keys()
        env_file.apply(_found)
    except env_file.EnvFileError as error:
        raise ImproperlyConfigured(str(error)) from error


def _read() -> dict[str, Any]:
    values = {}
    for option in OPTIONS:
        text = os.environ.get(option.name)
        try:
            values[option.name] = option.default if text is None else option.parse(text)
        except ValueError as error:
            raise ImproperlyConfigured(str(error)) from error
    return values


NAMES_LIKE_SETTINGS = sorted(name for name in os.environ if name.startswith("MYAGENT_"))
"""Variables that are settings, or were perhaps meant to be."""

OPTION_VALUES = _read()
globals().update(
    {
        name: value
        for name, value in OPTION_VALUES.items()
        if name.startswith(("MYAGENT_", "OTEL_", "SENTRY_"))
    }
)

try:
    MYAGENT_BASE_PATH = base_path.normalized(OPTION_VALUES["MYAGENT_BASE_PATH"])
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from error
FORCE_SCRIPT_NAME = MYAGENT_BASE_PATH or None

RAY_ADDRESS = OPTION_VALUES["RAY_ADDRESS"]

# Where the processes of one `serve` keep their metrics; prometheus_client reads it as well.
METRICS_DIR = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")

SITE_VARIABLES = [option.name for option in OPTIONS if not option.is_standard]
"""The site's own variables in an environment: no worker gets them."""

DEBUG = OPTION_VALUES["DEBUG"]
SITE_HOSTS = OPTION_VALUES["ALLOWED_HOSTS"]
# `guard.Guard` checks every Host before Django does, whose own check does not support addresses.
ALLOWED_HOSTS = ["*"]

DATABASES = {"default": database.configuration(OPTION_VALUES, DATA_DIR)}
IS_EMBEDDED = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"

# Beside an SQLite file every command finds its key, its locks and its logs.
_beside = Path(DATABASES["default"]["NAME"]).parent if IS_EMBEDDED else DATA_DIR
VAR_DIR = Path(OPTION_VALUES["MYAGENT_VAR_DIR"] or _beside / "var").resolve()
# A restored site has the key of the one that was backed up: another must not be in its place.
SECRET_KEY = OPTION_VALUES["SECRET_KEY"] or secret_key.of_installation(
    VAR_DIR, may_generate=IS_EMBEDDED, is_kept=sys.argv[1:2] != ["restore"]
)

SECRET_KEY_FALLBACKS = OPTION_VALUES["SECRET_KEY_FALLBACKS"]

INSTALLED_APPS = [
    # Before `staticfiles`: its `runserver` serves sockets too.
    "myagent_site.apps.DaphneConfig",
    "channels",
    # Before `agents`: its `runagent` knows services too.
    "services.apps.ServicesConfig",
    "services.tokens.apps.TokensConfig",
    "knox",
    "agents.apps.AgentsConfig",
    "traces.apps.TracesConfig",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Imports admin modules only where the site's pages are served, not in every command.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.staticfiles",
    "axes",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "myagent_site.unavailable.log_as_warnings",
    "myagent_site.roles.pages_of_this_process",
    "myagent_site.tls.secure_over_tls",
    "myagent_site.logins.slow_failed_logins",
    "django.middleware.security.SecurityMiddleware",
    "myagent_site.admin_pages.protect_admin_pages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "myagent_site.login.require_login",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "myagent_site.urls"
ASGI_APPLICATION = "myagent_site.asgi.application"
# The same for a server that was created elsewhere: by `runagent`, `serve` or a program.
MYAGENT_APPLICATION = "myagent_site.application.application_for"

REDIS_URL = OPTION_VALUES["REDIS_URL"]
# channels-redis waits up to 5 s for a message: by then an answer must not count as overdue.
_REDIS = {"address": REDIS_URL, "socket_connect_timeout": 2, "socket_timeout": 15}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [_REDIS], "prefix": "myagent"},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

# Classes that store rows of their own about log entries (see `agents.log.recorders`).
MYAGENT_RECORDERS = ["traces.recording.recorder.TraceRecorder"]
# What every server does from time to time (see `agents.chores`).
MYAGENT_CHORES = [
    "traces.recording.refreshing.PRICES",
    "traces.pruning.PRUNING",
    "traces.statistics.rolling.ROLLING",
    "traces.live.ringing.RINGING",
    "services.metrics.port.METRICS",
    "services.roll_call.ROLL_CALL",
]

# Whether finished traces are sent somewhere.
MYAGENT_TRACE_EXPORT = (
    any(OPTION_VALUES[f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT"] for kind in ("", "TRACES_"))
    and "none" not in OPTION_VALUES["OTEL_TRACES_EXPORTER"]
)
if MYAGENT_TRACE_EXPORT:
    MYAGENT_CHORES.append("traces.exporting.sending.SENDING")

# Links to the folders at the top, so that an installed package has them too.
PACKAGE_DIR = BASE_DIR / "myagent_site"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = f"{MYAGENT_BASE_PATH}/static/"
STATIC_DIR = PACKAGE_DIR / "static"
STATICFILES_DIRS = [STATIC_DIR]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = [
    # First, so that the password of a client that is locked out is not checked.
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# API tokens: the model is `services.tokens.models.Token`; the library's own needs no table.
KNOX_TOKEN_MODEL = "tokens.Token"
REST_KNOX = {"TOKEN_PREFIX": "myagent_", "TOKEN_TTL": None}
MIGRATION_MODULES = {"knox": None}

# Failed logins, see `logins.py`.
AXES_LOCKOUT_PARAMETERS = ["ip_address"]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=5)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "myagent_site.logins.address_of"
AXES_LOCKOUT_CALLABLE = "myagent_site.logins.shut_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# Not logged: some people type their password into this field. The address is useful.
AXES_SENSITIVE_PARAMETERS = ["username"]

# Sites on several ports of one machine, or below several paths, must not log each other out.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = f"{MYAGENT_BASE_PATH}/"
SESSION_COOKIE_NAME = "myagent_session"
CSRF_COOKIE_NAME = "myagent_csrf"
CSRF_FAILURE_VIEW = "myagent_site.error_pages.stale_form"
SESSION_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_NAME = "myagent_lang"
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = f"{MYAGENT_BASE_PATH}/"
"""Where a login leads, the admin's too, that names no page of this site."""
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
"""Bytes of a request's body; see `bodies.py`."""

# What `check --deploy` demands of all responses, and the site does where it is right.
SILENCED_SYSTEM_CHECKS = [
    # Every response has X-Frame-Options: see `safe_answers`.
    "security.W002",
    # HSTS: `safe_answers`; Secure cookies: `tls.secure_over_tls`; both for requests that came over
    # https. One process may be reached both ways, and a proxy redirects.
    *("security.W004", "security.W008", "security.W012", "security.W016"),
]
SECURE_REFERRER_POLICY = "no-referrer"
X_FRAME_OPTIONS = "DENY"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "MyAgent Site",
    "DESCRIPTION": "Services: register, start, stop and watch them. Conversations: talk in them, "
    "read and remove them. Errors are `detail`, a sentence, and `code`, for programs. What changes "
    "something takes `application/json` only.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": MYAGENT_BASE_PATH}] if MYAGENT_BASE_PATH else [],
    "SERVE_INCLUDE_SCHEMA": False,
    # A matter of the code, which is tested, and not of a deployment: it takes 0.4 s.
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "myagent_site.api_docs.say_what_holds_everywhere",
    ],
    "ENUM_NAME_OVERRIDES": {
        "ServiceStatus": "services.rest.documents.STATUSES",
        "InstanceState": "services.rest.documents.STATES",
        "InstanceHealth": "services.models.Instance.HEALTH",
        "RoutingStrategy": "services.rest.rule_schemas.STRATEGIES",
        "SessionStatus": "services.rest.conversations.documents.STATUSES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # No files are loaded from other hosts.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", gettext_lazy("English")), ("zh-hans", gettext_lazy("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "myagent_site" / "locale"]

LOGGING_CONFIG = None
"""`manage.py` sets logging up, and commands that serve once more; see `agents.runtime.logs`."""
