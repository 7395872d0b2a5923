"""Settings of Django's own tests with the inspector installed and recording.

``runtests.py`` replaces ``INSTALLED_APPS`` before it calls ``django.setup()``; so the app is added there.
"""

import os
from functools import wraps

import django
from conformance_bare import *  # noqa: F403


def nobody_looks(_: object) -> bool:
    """Who may look at the pages: with ``ENABLED`` and without ``DEBUG`` that has to be said."""
    return False


PIPELINE_INSPECTOR = {
    "ENABLED": True,
    "STORE": os.environ["CONFORMANCE_STORE"],
    "MAX_REQUESTS": 1_000_000,
    "ACCESS": f"{__name__}.nobody_looks",
}

_setup = django.setup


@wraps(_setup)
def _setup_with_the_app(*args: object, **kwargs: object) -> None:
    from django.conf import settings

    if "pipeline_inspector" not in settings.INSTALLED_APPS:
        settings.INSTALLED_APPS.append("pipeline_inspector")
    _setup(*args, **kwargs)


django.setup = _setup_with_the_app
