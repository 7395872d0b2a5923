"""Starts the house: the one entry in ``INSTALLED_APPS``."""

from django.apps import AppConfig

from pipeline_inspector import checks, conf, wiring
from pipeline_inspector.probes import startup


class PipelineInspectorConfig(AppConfig):
    """The app. With ``DEBUG`` off and ``ENABLED`` not set it does nothing at all."""

    name = "pipeline_inspector"
    verbose_name = "Pipeline Inspector"

    def import_models(self) -> None:
        super().import_models()
        if conf.current().enabled:
            startup.watch_apps()

    def ready(self) -> None:
        checks.register()
        if conf.current().enabled:
            startup.apps_ready()
            wiring.connect()
