"""The demo site: every page and every kind of middleware does what it is there for, under WSGI and ASGI."""

import json
import random
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import AsyncClient, Client

from demo_site import settings as demo
from demo_site.middleware import QuotaExceeded
from demo_site.models import Article, Author, Comment
from demo_site.visitor import Visitor

PAGES = {
    "/": 200,
    "/?page=3": 200,
    "/articles/who-set-this-header/": 200,
    "/articles/nobody-wrote-this/": 404,
    "/authors/": 200,
    "/search/?q=layer": 200,
    "/search/": 200,
    "/editions/2024/": 200,
    "/editions/1984/": 404,
    "/slow/": 200,
    "/digest/": 200,
    "/index.csv": 200,
    "/download/": 200,
    "/unprinted/": 503,
    "/broken/": 500,
    "/quota/": 500,
    "/health/": 200,
    "/nowhere/": 404,
    "/old/": 301,
    "/account/": 302,
    "/login/": 200,
    "/admin/": 302,
    "/api/articles/": 200,
    "/api/articles/who-set-this-header/": 200,
    "/api/articles/nobody-wrote-this/": 404,
}


@pytest.fixture(autouse=True)
def _site(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's middleware and data, and time that passes at once."""
    settings.MIDDLEWARE = demo.MIDDLEWARE
    settings.LOGIN_URL, settings.LOGIN_REDIRECT_URL = demo.LOGIN_URL, demo.LOGIN_REDIRECT_URL
    monkeypatch.setattr("demo_site.views.time.sleep", lambda seconds: None)
    call_command("loaddemo", verbosity=0, stdout=_Nowhere())


class _Nowhere:
    def write(self, text: str) -> None:
        """Takes what the command says."""


@pytest.fixture
def browser_like() -> Client:
    """A client that gets a 500 as a browser would."""
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(("path", "status"), PAGES.items())
def test_every_page_answers_as_told(browser_like: Client, path: str, status: int) -> None:
    response = browser_like.get(path)
    assert response.status_code == status
    content = b"".join(response) if response.streaming else response.content  # type: ignore[arg-type]
    assert content or status in (301, 302)
    response.close()


def test_the_layers_leave_their_marks(browser_like: Client) -> None:
    response = browser_like.get("/")
    assert int(response.headers["X-Request-Number"]) > 0
    assert response.cookies["light"].value == "on"
    assert b"Watch this page being made" in response.content
    assert response.wsgi_request.section == "home"
    assert response.wsgi_request.visits > 0


def test_a_layer_answers_by_itself(browser_like: Client) -> None:
    response = browser_like.get("/health/")
    assert response.content == b"well\n"
    assert "light" not in response.cookies


def test_a_layer_raises(client: Client) -> None:
    with pytest.raises(QuotaExceeded):
        client.get("/quota/")


def test_a_layer_rescues_one_exception_and_lets_others_go_on(client: Client) -> None:
    assert b"out of ink" in client.get("/unprinted/").content
    with pytest.raises(ZeroDivisionError):
        client.get("/broken/")


@pytest.mark.parametrize(
    "path", ["/", "/digest/", "/health/", "/unprinted/", "/api/articles/", "/articles/on-the-way-out/"]
)
@pytest.mark.django_db(transaction=True)
async def test_pages_answer_the_same_under_asgi(async_client: AsyncClient, path: str) -> None:
    assert (await async_client.get(path)).status_code == PAGES.get(path, 200)


@pytest.mark.django_db(transaction=True)
async def test_the_asynchronous_stream_comes_line_by_line(async_client: AsyncClient) -> None:
    response = await async_client.get("/ticker/")
    lines = [chunk.decode() async for chunk in response]  # type: ignore[attr-defined]
    assert lines == [f"line {number} of 8\n" for number in range(1, 9)]


def test_the_authors_page_asks_again_for_each_author(
    client: Client, django_assert_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_num_queries(1 + 2 * Author.objects.count()):
        client.get("/authors/")


def test_a_search_is_answered_from_the_cache_the_second_time(
    client: Client, django_assert_num_queries: Callable[[int], Any]
) -> None:
    word = f"word{random.random()}"
    with django_assert_num_queries(1):
        client.get("/search/", {"q": word})
    with django_assert_num_queries(0):
        client.get("/search/", {"q": word})


def test_a_comment_is_kept_and_leads_back_to_the_article(client: Client) -> None:
    path = "/articles/who-set-this-header/"
    response = client.post(f"{path}comment/", {"name": "Ann", "text": "<b>Well</b>"}, follow=True)
    assert response.redirect_chain == [(path, 302)]
    assert b"Thank you for your comment" in response.content
    assert b"&lt;b&gt;Well" in response.content
    assert client.post(f"{path}comment/", {"name": ""}).status_code == 422
    assert client.get(f"{path}comment/").status_code == 405


def test_comments_do_not_pile_up(client: Client) -> None:
    article = Article.objects.earliest("pk")
    Comment.objects.bulk_create(Comment(article=article, name="Ann", text="again") for _ in range(50))
    client.post(f"/articles/{article.slug}/comment/", {"name": "Ann", "text": "the last"})
    assert article.comments.count() == 40
    assert article.comments.last().text == "the last"  # type: ignore[union-attr]


def test_a_comment_by_the_api_is_kept_or_refused(client: Client) -> None:
    path = "/api/articles/who-set-this-header/comments/"
    sent = client.post(path, json.dumps({"name": "Ann", "text": "Well"}), content_type="application/json")
    assert Comment.objects.get(pk=sent.json()["id"]).text == "Well"
    for body in ("{", "[]", '{"name": "Ann"}'):
        assert client.post(path, body, content_type="application/json").status_code == 400


def test_the_two_people_log_in_with_their_own_names(client: Client) -> None:
    assert client.login(username="reader", password="reader")
    assert b"1 time" in client.get("/account/").content
    assert b"2 times" in client.get("/account/").content
    assert client.get("/admin/").status_code == 302
    assert client.login(username="admin", password="admin")
    assert client.get("/admin/demo_site/article/").status_code == 200


def test_loading_again_changes_no_count() -> None:
    def counts() -> list[int]:
        return [model._default_manager.count() for model in (Author, Article, Comment, get_user_model())]

    before = counts()
    call_command("loaddemo", stdout=_Nowhere())
    assert counts() == before
    assert before[1] == 24


def test_the_newest_article_is_on_the_first_page(client: Client) -> None:
    newest = Article.objects.latest("published_at")
    assert newest.title in client.get("/").content.decode()


def test_every_errand_of_a_visitor_goes_to_a_page_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitor("http://demo.test", random.Random(1))
    asked: list[str] = []
    monkeypatch.setattr(visitor, "get", lambda path: asked.append(path) or 200)
    monkeypatch.setattr(visitor, "post", lambda path, fields: asked.append(path) or 200)
    monkeypatch.setattr(visitor, "post_json", lambda path, value: asked.append(path) or 200)
    for _ in range(20):
        for errand, _ in visitor._errands():
            errand()
    client = Client(raise_request_exception=False)
    expected = {path for path in asked if not path.endswith(("comment/", "comments/"))}
    missing = set()
    for path in expected:
        with closing(client.get(path)) as response:
            if response.status_code == 404:
                missing.add(path)
    assert missing == {"/nowhere/", "/editions/1984/"}
