"""Builds the compiled half of the request path into wheels and editable installs, where a C compiler is at hand.

Without one, or with ``PIPELINE_INSPECTOR_PURE=1``, the package is built without it: its Python half does the same work.
"""

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.errors import BaseError, CCompilerError

SOURCE = "pipeline_inspector/compiled_half/module.c"


class CompilingHook(BuildHookInterface[Any]):
    """Called by hatchling before it packs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say what came of it: a wheel for this Python and machine, or one for all."""
        if self.target_name != "wheel":
            return
        self.folder = Path(tempfile.mkdtemp())
        place = Path(self.root) / f"pipeline_inspector/_compiled{sysconfig.get_config_var('EXT_SUFFIX')}"
        if version == "editable":
            place.unlink(missing_ok=True)  # of other sources; who has it loaded keeps it
        if not wanted():
            return
        try:
            built = compiled(Path(self.root), self.folder)
        except (BaseError, CCompilerError, OSError) as error:
            self.app.display_warning(f"The compiled half is not built ({error}); the Python half does the same work.")
            return
        if version == "editable":
            shutil.copy(built, place)
        else:
            build_data["force_include"][str(built)] = str(place.relative_to(self.root))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clean up: what was built is packed."""
        if self.target_name == "wheel":
            shutil.rmtree(self.folder, ignore_errors=True)


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
