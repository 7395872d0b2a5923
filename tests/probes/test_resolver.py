"""The resolver probe: what was tried and matched, as Django found it, found once."""

from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.urls import URLResolver, path

from tests.scenarios import layers
from tests.scenarios.comparing import HERE, both_ways
from tests.scenarios.driving import INTERFACES, ask, site, watched
from tests.scenarios.made import Spec, order
from tests.scenarios.urls import plain

both = pytest.mark.parametrize("interface", INTERFACES)


@both
def test_nothing_is_resolved_a_second_time(interface: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    original = URLResolver.resolve

    def counting(self: URLResolver, path: Any) -> Any:
        nonlocal count
        count += 1
        return original(self, path)

    monkeypatch.setattr(URLResolver, "resolve", counting)

    def resolved() -> int:
        nonlocal count
        count = 0
        with site([order(Spec("T0", "mixin"))]):
            ask(interface, "/nested/in/2024/spam/")
        return count

    without, with_us = both_ways(resolved)
    assert with_us == without == 3


@both
def test_every_pattern_tried_is_told_in_order_up_to_the_match(interface: str) -> None:
    _, record = watched(interface, [], "/nested/in/2024/spam/")
    assert record.tried[:3] == ["", "async/", "class/"]
    assert record.tried[-2:] == ["nested/ other/", "nested/ in/ <int:year>/<slug:name>/"]
    assert record.route is not None
    assert record.route.urlconf == "tests.scenarios.urls"
    assert record.route.urlconf_set_by is None


@both
def test_two_ways_to_nothing_are_told_apart(interface: str) -> None:
    one = watched(interface, [], "/nested/nowhere/")[1].tried
    other = watched(interface, [], "/many/nowhere/")[1].tried
    assert "nested/ other/" in one
    assert "nested/ other/" not in other


@both
def test_what_no_pattern_matches_in_another_urlconf_tells_of_that_urlconf(interface: str) -> None:
    _, record = watched(interface, [HERE + "ChooseUrls"], "/async/")
    assert record.tried == ["class/", ""]
    assert record.exception is not None
    assert (record.exception.type, record.exception.raised_in) == ("Resolver404", "resolver")


def test_a_layer_that_answers_leaves_the_resolver_out() -> None:
    _, record = watched("wsgi", [order(Spec("T0", act="answer"))])
    assert record.route is None
    assert record.tried == []
    assert not [span for span in record.spans if span.kind == "resolve"]


class _Conf:
    """A URLconf that a test writes."""

    def __init__(self, *patterns: Any) -> None:
        self.urlpatterns = list(patterns)


def test_two_urlconfs_that_share_patterns_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = path("first/", plain), path("last/", plain)
    tried = []
    for own in ("one/", "other/"):
        conf = _Conf(first, path(own, plain), last)
        monkeypatch.setattr(
            layers.ChooseUrls, "before", lambda self, request, conf=conf: setattr(request, "urlconf", conf)
        )
        tried.append(watched("wsgi", [HERE + "ChooseUrls"], "/last/")[1].tried)
    assert tried == [["first/", "one/", "last/"], ["first/", "other/", "last/"]]


@both
def test_a_pattern_in_the_language_of_the_request_is_told_in_it(interface: str) -> None:
    conf = _Conf(*i18n_patterns(path("news/", plain)))
    settings = {"ROOT_URLCONF": conf, "USE_I18N": True, "LANGUAGE_CODE": "en"}
    for language in ("de", "en", "fr"):
        _, record = watched(
            interface, ["django.middleware.locale.LocaleMiddleware"], f"/{language}/nothing/", settings=settings
        )
        assert record.tried == [f"{language}/ news/"]
