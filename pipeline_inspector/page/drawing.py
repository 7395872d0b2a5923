"""The engine that draws our templates: our own, so that the site's ``TEMPLATES`` never matters."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils.safestring import SafeString

import pipeline_inspector
from pipeline_inspector.page.assets import version

_TEMPLATES = Path(pipeline_inspector.__file__).parent / "templates"


@cache
def _engine() -> Engine:
    return Engine(
        dirs=[str(_TEMPLATES)],
        builtins=["pipeline_inspector.page.formats"],
        loaders=[("django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"])],
    )


def render(template: str, context: Mapping[str, Any]) -> SafeString:
    """The text of ``template`` (a name such as ``pipeline_inspector/_stage.html``); values are escaped, numbers stay as
    they are whatever the site's language. ``version`` names the state of the assets."""
    drawn = _engine().get_template(template)
    return drawn.render(Context({"version": version(), **context}, use_l10n=False, use_tz=False))
