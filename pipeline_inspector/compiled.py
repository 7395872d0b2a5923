"""The compiled half of the request path, where there is one: built with the package when a C compiler was at hand.

It does what its Python counterparts do, in less time. ``PIPELINE_INSPECTOR_PURE=1`` in the environment does without it.
"""

import os
from importlib import import_module
from types import ModuleType
from typing import Any

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


def put_into(kind: Any, derived: Any) -> Any:
    """``kind``, a compiled type, with all that is written in ``derived`` of it. Python calls a compiled method without a
    detour on instances of the very type that it was made for."""
    for name, value in vars(derived).items():
        if name not in ("__module__", "__slots__"):
            setattr(kind, name, value)
    return kind
