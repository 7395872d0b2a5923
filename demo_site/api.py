"""The demo site's JSON API."""

import json
from typing import Any

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.shortcuts import aget_object_or_404, get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from demo_site.models import Article, Comment


def _as_json(article: Article) -> dict[str, Any]:
    return {
        "slug": article.slug,
        "title": article.title,
        "author": article.author.name,
        "published_at": article.published_at,
    }


@require_GET
def articles(request: HttpRequest) -> JsonResponse:
    """All articles, newest first."""
    return JsonResponse({"articles": [_as_json(article) for article in Article.objects.select_related("author")]})


async def article(request: HttpRequest, slug: str) -> JsonResponse:
    """One article."""
    return JsonResponse(_as_json(await aget_object_or_404(Article.objects.select_related("author"), slug=slug)))


@csrf_exempt
@require_POST
@transaction.atomic
def comments(request: HttpRequest, slug: str) -> JsonResponse:
    """Keep a comment sent as ``{"name": …, "text": …}``; 400 when it is not one."""
    article = get_object_or_404(Article, slug=slug)
    try:
        sent = json.loads(request.body)
        comment = Comment(article=article, name=str(sent["name"])[:60], text=str(sent["text"])[:1000])
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"error": 'Send {"name": …, "text": …} as JSON.'}, status=400)
    comment.save()
    Comment.objects.filter(pk__in=article.comments.order_by("-pk").values("pk")[40:]).delete()
    return JsonResponse({"id": comment.pk}, status=201)
