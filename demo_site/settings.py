"""Settings of the demo site: SQLite, daphne, and the one line that installs the inspector."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "only-for-the-demo-site"
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "demo_site",
    "pipeline_inspector",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "demo_site.middleware.RequestNumberMiddleware",
    "demo_site.middleware.health_check",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "demo_site.middleware.visit_counter",
    "demo_site.middleware.reading_light",
    "demo_site.middleware.QuotaMiddleware",
    "demo_site.middleware.RescueMiddleware",
    "demo_site.middleware.BannerMiddleware",
    "demo_site.middleware.SurveyMiddleware",
]

ROOT_URLCONF = "demo_site.urls"
ASGI_APPLICATION = "demo_site.asgi.application"
WSGI_APPLICATION = "demo_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DEMO_DATABASE", BASE_DIR / "demo.sqlite3"),
        "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"},
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# For a demo with known passwords: logging in is one of its requests, and should not be its slowest.
PASSWORD_HASHERS = ["demo_site.hashers.DemoHasher"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "home"

USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"short": {"format": "%(levelname)-8s %(name)s  %(message)s"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "level": os.environ.get("DEMO_CONSOLE_LEVEL", "INFO"),
            "formatter": "short",
        }
    },
    "loggers": {
        "django": {"handlers": ["console"], "level": "INFO"},
        "demo_site": {"handlers": ["console"], "level": "INFO"},
    },
}

PIPELINE_INSPECTOR = {"STORE": os.environ.get("DEMO_STORE")}
