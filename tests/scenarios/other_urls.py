"""The URLconf that a layer chooses for its request."""

from django.urls import path

from tests.scenarios.urls import Classy, plain

urlpatterns = [path("class/", Classy.as_view()), path("", plain, name="other-home")]
