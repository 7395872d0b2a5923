"""The compiled half of the request path, where there is one: built with the package when a C compiler was at hand.

It does what its Python counterparts do, in less time. ``PIPELINE_INSPECTOR_PURE=1`` in the environment does without it.
"""

import os
from importlib import import_module
from types import ModuleType

PURE = "PIPELINE_INSPECTOR_PURE"


def _half() -> ModuleType | None:
    if os.environ.get(PURE):
        return None
    try:
        return import_module("pipeline_inspector._compiled")
    except ImportError:  # not built, or for another Python
        return None


half = _half()
"""The extension module; None: the Python counterparts do the work."""
