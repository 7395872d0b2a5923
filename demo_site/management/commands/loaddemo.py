"""Fills the demo site: the same authors, articles, comments and two people to log in as, each time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.text import slugify

from demo_site.models import Article, Author, Comment

AUTHORS = [
    ("Ada Ringer", "Writes about boundaries, and what crosses them."),
    ("Bo Kernel", "Has been at the core of things since the first edition."),
    ("Cleo Hopper", "Commutes between the loop and the thread."),
    ("Dag Resolver", "Knows where everything is."),
    ("Elin Contexter", "Collects variables, mostly unused ones."),
    ("Finn Closer", "Always has the last word."),
]
TITLES = [
    "A day in the life of a request",
    "Who set this header?",
    "The layer that answered too early",
    "Letters from the event loop",
    "In praise of the innermost ring",
    "Seven redirects and a page",
    "What the session remembered",
    "A cookie for everyone",
    "The view from the view",
    "Streams, and how to cross them",
    "Notes on a missing slash",
    "The template that included itself",
    "An exception leaves home",
    "The cache was warm",
    "Slow news is good news",
    "Hopping threads for a living",
    "Nobody reads the footer",
    "The query that came back six times",
    "On the way out",
    "A token of trust",
    "The address that moved",
    "Four hundred and four",
    "Rendering, a love story",
    "The rings of Saturn, profiled",
]
PARAGRAPHS = [
    "It came in by the front door, as they all do, and was given a number. Nobody looked up.",
    "One layer after another asked its question. Most of them had nothing to add, and said so quickly.",
    "In the middle there was a room with a desk. On the desk lay the answer, and it had to be carried all the way back.",
    "On the way out everyone added a line to the envelope, until the address could hardly be read.",
    "What took so long, they asked afterwards. The clock on the wall knew, but nobody had asked the clock.",
]
READERS = ["Mina", "Oskar", "Pia", "Quentin", "Rosa", "Sami", "Tove"]
REMARKS = [
    "I read this twice and found a third meaning.",
    "Where can I subscribe?",
    "My middleware does the same, only slower.",
    "Thank you, this explains our Tuesdays.",
]
FIRST_DAY = datetime(2024, 3, 1, 7, 30, tzinfo=UTC)


class Command(BaseCommand):
    """``manage.py loaddemo``: may be run again and again, other people's rows stay."""

    help = "Load the demo site's authors, articles, comments and users (reader/reader, admin/admin)."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing."""
        authors = [
            Author.objects.update_or_create(slug=slugify(name), defaults={"name": name, "bio": bio})[0]
            for name, bio in AUTHORS
        ]
        for number, title in enumerate(TITLES):
            self._article(number, title, authors[number % len(authors)])
        self._people()
        self.stdout.write(f"{len(authors)} authors, {len(TITLES)} articles, 2 people to log in as.")

    def _article(self, number: int, title: str, author: Author) -> None:
        article, made = Article.objects.update_or_create(
            slug=slugify(title),
            defaults={
                "title": title,
                "author": author,
                "summary": PARAGRAPHS[number % len(PARAGRAPHS)],
                "body": "\n\n".join(PARAGRAPHS[(number + step) % len(PARAGRAPHS)] for step in range(4)),
                "published_at": FIRST_DAY + timedelta(days=23 * number),
            },
        )
        if made:
            Comment.objects.bulk_create(
                Comment(
                    article=article,
                    name=READERS[(number + step) % len(READERS)],
                    text=REMARKS[(number + step) % len(REMARKS)],
                )
                for step in range(number % 5)
            )

    def _people(self) -> None:
        model = get_user_model()
        for name in ("reader", "admin"):
            staff = name == "admin"
            person, _ = model.objects.update_or_create(
                username=name, defaults={"is_staff": staff, "is_superuser": staff}
            )
            person.set_password(name)
            person.save()
