"""A request that repeats another one is told as if it were the first: what was packed for one holds for the other."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import msgspec
import pytest
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import clear_url_caches, include, path
from django.views.defaults import permission_denied
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_inspector import compiled, conf, packed, wiring
from pipeline_inspector.recording import recorder, sealing
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.sealing import Sealer
from pipeline_inspector.recording.tape import Tape
from tests.scenarios import layers, urls
from tests.scenarios.comparing import HERE
from tests.scenarios.comparing import urls as with_view
from tests.scenarios.driving import site, through_asgi, through_wsgi

STOCK = [
    *("django.middleware.security.SecurityMiddleware", "django.middleware.locale.LocaleMiddleware"),
    *("django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"),
]
Told = tuple[dict[str, Any], Any]


class Leaving(layers.Both):
    """Leaves on each request and answer what it is told to."""

    attribute: Any = None
    header = ""
    by = "Leaving"

    def before(self, request: Any) -> None:
        """An attribute."""
        if Leaving.by == type(self).__name__:
            request.left = Leaving.attribute

    def process_view(self, request: Any, *_: Any) -> None:
        """The attribute, when it is left by the hook."""
        if Leaving.by == f"{type(self).__name__}'s hook":
            request.left = Leaving.attribute

    def after(self, request: Any, response: Any) -> Any:
        """A header."""
        if Leaving.header and Leaving.by == type(self).__name__:
            response["X-Left"] = Leaving.header
        return response


class LeavingToo(Leaving):
    """The same in another place."""


@pytest.fixture(autouse=True)
def _as_dear_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What our own work costs is measured by each sealer anew."""
    monkeypatch.setattr(sealing, "_calibrate", lambda: 100.0)
    monkeypatch.setattr(layers, "Leaving", Leaving, raising=False)
    monkeypatch.setattr(layers, "LeavingToo", LeavingToo, raising=False)
    Leaving.attribute, Leaving.header, Leaving.by = None, "", "Leaving"


@pytest.fixture
def tapes() -> Iterator[Callable[[], Tape]]:
    """Gives the tape of the last request of a site that is recorded."""
    wiring.force(on=True)
    try:
        with recorder.diverted() as kept:
            yield kept.pop
            while kept:
                recorder.clear(kept.popleft())
    finally:
        wiring.force(on=False)


def _sealer() -> Sealer:
    return Sealer("process", "2026-01-01T00:00:00Z", Redactor(conf.current().redact))


def _told(sealer: Sealer, tape: Tape) -> Told:
    sealed = sealer.seal(tape)
    sealed.summary.began = None
    told = msgspec.structs.asdict(packed.decode(sealed.payload))
    told["threads"] = told["threads"][0], len(told["threads"])  # the others may have ended, and have no name any more
    return told, sealed.summary


class Reading:
    """Seals tapes one after the other, each also by itself; ``worked_out``: so many were not told as one before."""

    def __init__(self) -> None:
        self._sealer = _sealer()
        self._same = mock.patch.object(self._sealer, "_same", wraps=self._sealer._same).start()

    def read(self, tape: Tape) -> dict[str, Any]:
        """What is told of ``tape`` after all others; it is what would be told of it alone."""
        self._sealer.refresh()
        alone = _told(_sealer(), tape)
        among_others = _told(self._sealer, tape)
        differs = {name: (value, alone[0][name]) for name, value in among_others[0].items() if value != alone[0][name]}
        assert (differs, among_others[1]) == ({}, alone[1])
        recorder.clear(tape)
        return among_others[0]

    @property
    def worked_out(self) -> int:
        """How many."""
        return self._same.call_count


PAGES = [
    *(
        "/",
        "/",
        "/",
        "/?page=2",
        "/many/1/",
        "/many/2/",
        "/class/",
        "/redirect/",
        "/missing/",
        "/broken/",
        "/template/",
    ),
    *("/stream/", "/file/", "/no/such/page/", "/async/"),
]
FOR_ASGI = {"/stream/": "/stream-async/", "/file/": "/async/"}
asked = st.tuples(
    st.sampled_from(PAGES),
    st.sampled_from(["GET", "GET", "HEAD", "POST"]),
    st.sampled_from(
        [
            *({}, {}, {"HTTP_USER_AGENT": "one"}, {"HTTP_USER_AGENT": "other", "HTTP_ACCEPT_LANGUAGE": "de"}),
            {"HTTP_COOKIE": "sessionid=0123456789abcdef; tasty=yes"},
            {"HTTP_AUTHORIZATION": "Bearer 0123456789abcdef"},
        ]
    ),
    st.sampled_from([None, None, True, 1, 1.0, "text", "0123456789abcdef", [1]]),
    st.sampled_from(["", "", "here", "0123456789abcdef"]),
)


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(asked, min_size=1, max_size=6))
def test_all_that_is_told_of_a_repeat_is_its_own(
    interface: str, tapes: Callable[[], Tape], different: list[tuple[Any, ...]]
) -> None:
    reading = Reading()
    languages = [("en", "English"), ("de", "German")]
    with site([*STOCK, HERE + "Leaving"], LANGUAGES=languages):
        handler: Any = WSGIHandler() if interface == "wsgi" else ASGIHandler()
        for url, method, headers, Leaving.attribute, Leaving.header in different * 4:
            try:
                if interface == "wsgi":
                    through_wsgi(handler, url, method, **headers)
                else:
                    asyncio.run(through_asgi(handler, FOR_ASGI.get(url, url), method, **headers))
            except urls.ViewError:
                assert interface == "asgi"
            reading.read(tapes())


@pytest.fixture
def ask(tapes: Callable[[], Tape]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Gives what is told of a request, after that of those before."""
    reading = Reading()

    def asked(url: str = "/", method: str = "GET", layers: tuple[str, ...] = (), **others: str) -> dict[str, Any]:
        headers = {name: value for name, value in others.items() if name.startswith("HTTP_")}
        with site([*STOCK, *layers], **{name: value for name, value in others.items() if name not in headers}):
            through_wsgi(WSGIHandler(), url, method, **headers)
            return reading.read(tapes())

    asked.reading = reading  # type: ignore[attr-defined]
    with site():
        yield asked


def _refused(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def _with_cookie(value: str) -> HttpResponse:
    answer = HttpResponse("hello")
    answer.set_cookie("given", value)
    return answer


def _scheme(scheme: str) -> dict[str, Any]:
    return {"interface": "asgi", "scheme": scheme}


SECRET = "0123456789abcdef"
DIFFERENT: dict[str, tuple[dict[str, Any], ...]] = {
    "a header of the answer": ({"header": "one"}, {"header": "other"}),
    "where it came from": ({"header": "one"}, {"header": "one", "by": "LeavingToo"}),
    "an attribute": ({"attribute": "one"}, {"attribute": "other"}),
    "its kind": ({"attribute": 1}, {"attribute": True}, {"attribute": 1.0}, {"attribute": "1"}, {"attribute": b"1"}),
    "what it was let go of": ({"attribute": object()}, {"attribute": Leaving}, {"attribute": print}),
    "where that came from": ({}, {"by": "LeavingToo"}, {"by": "Leaving's hook"}, {"by": "LeavingToo's hook"}),
    "a header": ({"HTTP_USER_AGENT": "one"}, {"HTTP_USER_AGENT": "other"}, {"HTTP_ACCEPT": "one"}),
    "the client": ({"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.2"}),
    "a secret in the query": ({"header": SECRET}, {"header": SECRET, "url": f"/view/?token={SECRET}"}),
    "a secret in a cookie": ({"header": SECRET}, {"header": SECRET, "HTTP_COOKIE": f"sessionid={SECRET}"}),
    "how it is asked": ({}, {"method": "POST"}, {"method": "HEAD"}),
    "how long the answer is": ({}, {"answer": lambda _: HttpResponse("hello!")}),
    "how it is sent": ({}, {"answer": lambda _: StreamingHttpResponse([b"hello"])}),
    "how much is sent": tuple({"answer": lambda _, text=text: StreamingHttpResponse([text])} for text in (b"one", b"other")),
    "a status": ({}, {"answer": lambda _: HttpResponse("hello", status=202)}),
    "a cookie": ({}, *({"answer": lambda _, value=value: _with_cookie(value)} for value in ("one", "other"))),
    "an error": ({"answer": lambda request: permission_denied(request, PermissionDenied())}, {"answer": _refused}),
    "what the path says": ({"url": "/view/1/"}, {"url": "/view/2/"}),
    "by what name it is reached": ({"url": "/view/"}, {"url": "/named/"}, {"url": "/space/view/"}),
    "the scheme": (_scheme("http"), _scheme("https")),
    "the version": ({"interface": "asgi", "http_version": "1.1"}, {"interface": "asgi", "http_version": "2"}),
    "the interface": ({}, {"interface": "asgi"}),
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_differs_is_told(what: str, tapes: Callable[[], Tape], monkeypatch: pytest.MonkeyPatch) -> None:
    def view(request: HttpRequest, *_: Any, **__: Any) -> Any:
        return answer(request)

    at_both = [path("view/", view), path("view/<int:number>/", view), path("named/", view, name="named")]
    monkeypatch.setattr(urls, "urlpatterns", [*at_both, path("space/", include(([at_both[0]], "space")))])
    clear_url_caches()
    reading = Reading()
    with site([HERE + "LeavingToo", HERE + "Leaving"]):
        handlers: dict[str, Any] = {"wsgi": WSGIHandler(), "asgi": ASGIHandler()}
        for one in (*DIFFERENT[what], *DIFFERENT[what]):
            for _ in range(3):
                asked = {"interface": "wsgi", "url": "/view/", "method": "GET", **one}
                Leaving.attribute, Leaving.header = asked.pop("attribute", None), asked.pop("header", "")
                Leaving.by, answer = asked.pop("by", "Leaving"), asked.pop("answer", lambda _: HttpResponse("hello"))
                interface, url, method = asked.pop("interface"), asked.pop("url"), asked.pop("method")
                if interface == "wsgi":
                    through_wsgi(handlers["wsgi"], url, method, **asked)
                else:
                    asyncio.run(through_asgi(handlers["asgi"], url, method, **asked))
                reading.read(tapes())
    clear_url_caches()


def test_another_view_at_the_same_place_is_told(ask: Callable[..., dict[str, Any]]) -> None:
    def one(request: HttpRequest) -> HttpResponse:
        return HttpResponse("hello")

    def other(request: HttpRequest) -> HttpResponse:
        return HttpResponse("hello")

    for view, name in [(one, "one"), (other, "other")] * 3:
        with with_view(view):
            for _ in range(4):
                assert ask("/failing/")["view"].name.endswith(name)


def test_other_patterns_tried_before_are_told(ask: Callable[..., dict[str, Any]]) -> None:
    def told() -> list[str]:
        return [ask("/nested/other/")["tried"] for _ in range(4)][-1]

    before = told()
    kept = urls.urlpatterns[:]
    try:
        urls.urlpatterns[:0] = [path("first/", urls.plain)]
        clear_url_caches()
        assert told() == ["first/", *before]
        urls.urlpatterns[:1] = [path("once/", urls.plain)]
        clear_url_caches()
        assert told() == ["once/", *before]
    finally:
        urls.urlpatterns[:] = kept
        clear_url_caches()
    assert told() == before


def test_what_ran_of_a_class_is_told_by_the_method(ask: Callable[..., dict[str, Any]]) -> None:
    for method, ran in [("GET", "get"), ("OPTIONS", "options")] * 4:
        assert ask("/class/", method)["view"].method == ran


def test_another_urlconf_of_the_same_patterns_is_told(
    ask: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    same = ModuleType("tests.scenarios.same_urls")
    same.urlpatterns = urls.urlpatterns  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, same.__name__, same)
    for name in [urls.__name__, same.__name__] * 3:
        for _ in range(3):
            assert ask("/", ROOT_URLCONF=name)["urlconf"] == name


def test_what_a_cookie_of_the_sites_own_holds_is_hidden_from_when_it_is_that(
    ask: Callable[..., dict[str, Any]],
) -> None:
    Leaving.header = "nothing_by_chance"
    for name in ["sessionid", "mine"] * 3:
        for _ in range(3):
            told = ask("/", SESSION_COOKIE_NAME=name, HTTP_COOKIE=f"mine={Leaving.header}", layers=(HERE + "Leaving",))
            assert (dict(told["response_headers"])["X-Left"] == Leaving.header) == (name != "mine")


def test_what_repeats_is_worked_out_twice(ask: Any) -> None:
    for _ in range(20):
        for agent in ("one", "other"):
            ask("/", layers=(HERE + "Leaving",), HTTP_USER_AGENT=agent)
    of_all = (
        8 if compiled.half is not None else 40
    )  # where more is looked at, and where not, each twice; in Python each
    assert ask.reading.worked_out <= of_all


def test_what_is_long_is_worked_out_each_time(ask: Any) -> None:
    for _ in range(6):
        ask("/", HTTP_X_LONG="x" * 30_000)
    assert ask.reading.worked_out == 6
