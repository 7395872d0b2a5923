"""Builds the compiled half of the request path into wheels and editable installs, where a C compiler is at hand.

Without one, or with ``PIPELINE_INSPECTOR_PURE=1``, the package is built without it: its Python half does the same work.
"""

import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.errors import BaseError, CCompilerError

SOURCE = "pipeline_inspector/_compiled.c"


class CompilingHook(BuildHookInterface[Any]):
    """Called by hatchling before it packs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say what came of it: a wheel for this Python and machine, or one for all."""
        if self.target_name != "wheel" or not wanted():
            return
        try:
            built = compiled(Path(self.root), Path(tempfile.mkdtemp()))
        except (BaseError, CCompilerError, OSError) as error:
            self.app.display_warning(f"The compiled half is not built ({error}); the Python half does the same work.")
            return
        place = f"pipeline_inspector/{built.name}"
        if version == "editable":
            (Path(self.root) / place).write_bytes(built.read_bytes())
        else:
            build_data["force_include"][str(built)] = place
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def wanted() -> bool:
    """CPython with its lock, and nobody asked to do without."""
    return (
        sys.implementation.name == "cpython"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and not os.environ.get("PIPELINE_INSPECTOR_PURE")
    )


def compiled(root: Path, folder: Path) -> Path:
    """The extension module, built in ``folder`` from the sources at ``root``. Raises what setuptools and the system do."""
    extension = Extension("pipeline_inspector._compiled", [str(root / SOURCE)])
    command = Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder), str(folder / "objects")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(extension.name))
