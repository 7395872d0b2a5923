"""Under gevent many requests share one thread: each is recorded as its own, and its page is live."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx

from tests.browser.served import row, state
from tests.sites import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

URLS = """
import time

from django.contrib.auth.models import User
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path


def asks(request, count):
    for _ in range(count):
        list(User.objects.all())
        time.sleep(0.01)
    return HttpResponse(count)


def pieces():
    for _ in range(3):
        time.sleep(0.01)
        yield b"piece"


urlpatterns = [path("asks/<int:count>/", asks), path("pieces/", lambda request: StreamingHttpResponse(pieces()))]
"""


def test_requests_that_take_turns_in_one_thread_are_told_apart(make_site: Callable[..., Site], page: "Page") -> None:
    site = make_site()
    site.write("mysite/urls.py", URLS)
    site.manage("migrate", "--verbosity", "0")
    server = site.serve("gunicorn", "--worker-class", "gevent")
    page.goto(f"{server.url}/__inspector__/")
    state(page).and_(page.get_by_text("live", exact=True)).wait_for()
    assert page.locator("#transport").inner_text() == "event stream"

    paths = [f"/asks/{count}/" for count in range(1, 11)] + ["/pieces/"]
    with ThreadPoolExecutor(len(paths)) as visitors:
        for answer in visitors.map(lambda path: httpx.get(server.url + path, trust_env=False), paths):
            assert answer.status_code == 200
    for count in range(1, 11):
        row(page, f"GET /asks/{count}/ 200").wait_for()
        (asked,) = server.recorded(f"/asks/{count}/")
        assert asked["query_count"] == count
        record = server.api(f"requests/{asked['id']}/")
        assert {span["thread"] for span in record["spans"]} == {record["server"]["thread"]}, (
            "a greenlet stands for a thread"
        )
    (streamed,) = server.recorded("/pieces/")
    assert server.api(f"requests/{streamed['id']}/")["response"]["chunks"] == 3
    page.reload()
    row(page, "GET /pieces/ 200").wait_for()
    assert page.get_by_role("alert").count() == 0
