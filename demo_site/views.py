"""The demo site's pages: quick, slow, wasteful, asynchronous, streaming and broken ones."""

import asyncio
import io
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST
from django.views.generic import DetailView

from demo_site.forms import CommentForm
from demo_site.middleware import PressStopped
from demo_site.models import Article, Author, Comment

logger = logging.getLogger(__name__)


def home(request: HttpRequest) -> HttpResponse:
    """The newest articles, six to a page: a ``TemplateResponse``."""
    articles = (
        Article.objects.select_related("author").annotate(comment_count=Count("comments")).order_by("-published_at")
    )
    page = Paginator(articles, 6).get_page(request.GET.get("page"))
    return TemplateResponse(request, "articles/list.html", {"page": page, "title": "Newest"})


class ArticleView(DetailView):
    """One article with its comments: a class-based view."""

    template_name = "articles/detail.html"

    def get_queryset(self) -> QuerySet[Article]:
        """Articles with what the page needs of them."""
        return Article.objects.select_related("author").prefetch_related("comments")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds an empty form."""
        return super().get_context_data(form=CommentForm(), **kwargs)


@require_POST
@transaction.atomic
def comment(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep a comment in one transaction, and go back to the article."""
    article = get_object_or_404(Article, slug=slug)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return render(request, "articles/detail.html", {"article": article, "form": form}, status=422)
    form.instance.article = article
    form.save()
    Comment.objects.filter(pk__in=article.comments.order_by("-pk").values("pk")[40:]).delete()
    logger.info("%s has a new comment", article.slug)
    messages.success(request, "Thank you for your comment.")
    return redirect(article)


def authors(request: HttpRequest) -> HttpResponse:
    """All authors, the wasteful way: two more queries for each of them."""
    return TemplateResponse(request, "authors.html", {"authors": Author.objects.all(), "title": "Authors"})


def search(request: HttpRequest) -> HttpResponse:
    """Articles with a word in the title, kept in the cache for a minute."""
    word = request.GET.get("q", "").strip()[:40]
    key = f"search:{word.lower()}".replace(" ", "_")
    found = cache.get(key)
    if found is None:
        found = list(Article.objects.filter(title__icontains=word).select_related("author")) if word else []
        cache.set(key, found, timeout=60)
        logger.info("Searched the database for %r: %d found", word, len(found))
    return render(request, "articles/search.html", {"found": found, "word": word})


def slow(request: HttpRequest) -> HttpResponse:
    """The year in numbers, worked out as slowly as possible."""
    logger.warning("Working out the year in numbers takes a while")
    time.sleep(0.45)
    numbers = {
        "articles": Article.objects.count(),
        "authors": Author.objects.count(),
        "comments": Comment.objects.count(),
    }
    return render(request, "numbers.html", {"numbers": numbers, "title": "The year in numbers"})


async def digest(request: HttpRequest) -> HttpResponse:
    """Three things fetched at the same time: an asynchronous view."""

    async def wire(name: str, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return f"The {name} wire answered after {seconds * 1000:.0f} ms"

    wires = await asyncio.gather(wire("northern", 0.03), wire("southern", 0.05), wire("sea", 0.02))
    newest = [article async for article in Article.objects.select_related("author")[:3]]
    return TemplateResponse(request, "digest.html", {"wires": wires, "newest": newest, "title": "Digest"})


def index_csv(request: HttpRequest) -> HttpResponseBase:
    """All articles as lines of a table, sent while they are read: a synchronous stream."""

    def lines() -> Iterator[str]:
        yield "title,author\n"
        for article in Article.objects.select_related("author").iterator(chunk_size=8):
            yield f'"{article.title}","{article.author}"\n'

    return StreamingHttpResponse(lines(), content_type="text/csv")


async def ticker(request: HttpRequest) -> HttpResponseBase:
    """A line every 60 ms: an asynchronous stream."""

    async def lines() -> AsyncIterator[str]:
        for number in range(1, 9):
            yield f"line {number} of 8\n"
            await asyncio.sleep(0.06)

    return StreamingHttpResponse(lines(), content_type="text/plain")


def download(request: HttpRequest) -> FileResponse:
    """A file to keep."""
    text = "\n\n".join(f"{article.title}\n{article.body}" for article in Article.objects.all())
    return FileResponse(io.BytesIO(text.encode()), as_attachment=True, filename="gazette.txt")


def broken(request: HttpRequest) -> HttpResponse:
    """Raises: nobody catches this one."""
    logger.error("About to divide the circulation by the number of printing presses")
    presses = Article.objects.filter(title="The printing press").count()
    return HttpResponse(f"{10_000 / presses} copies each")


def unprinted(request: HttpRequest) -> HttpResponse:
    """Raises what ``RescueMiddleware`` makes a page of."""
    raise PressStopped("the press is out of ink")


def edition(request: HttpRequest, year: int) -> HttpResponse:
    """The edition of a year; there are few of them."""
    articles = list(Article.objects.filter(published_at__year=year).select_related("author"))
    if not articles:
        raise Http404(f"No edition in {year}")
    return render(request, "articles/search.html", {"found": articles, "word": str(year)})


def old_address(request: HttpRequest) -> HttpResponse:
    """Where the site was before."""
    return redirect("home", permanent=True)


@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Only for who logged in."""
    visits = request.session.get("visits", 0) + 1
    request.session["visits"] = visits
    return render(request, "account.html", {"visits": visits, "title": "Your account"})
