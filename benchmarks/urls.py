"""The measured site's URLs, with the addresses that two of the tools need."""

from django.conf import settings
from django.urls import include, path

from benchmarks import subject

urlpatterns = list(subject.urlpatterns)
if "debug_toolbar" in settings.INSTALLED_APPS:
    urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))
if "silk" in settings.INSTALLED_APPS:
    urlpatterns.append(path("silk/", include("silk.urls", namespace="silk")))
