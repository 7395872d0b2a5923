"""A view is told by what the developer wrote."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page

from pipeline_inspector.recording import views


@gzip_page
@never_cache
def decorated(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def test_a_middleware_made_into_a_decorator_is_told_by_its_name() -> None:
    name, kind, file, _, decorators, is_async = views.describe(decorated)
    assert (name, kind, file, is_async) == (f"{__name__}.decorated", "function", __file__, False)
    assert decorators == ("GZipMiddleware", "never_cache")


def test_a_partial_is_told_by_what_is_inside() -> None:
    assert views.describe(partial(decorated))[0] == f"{__name__}.decorated"
