"""What the demo site shows: articles, who wrote them, and what readers said."""

from django.db import models
from django.urls import reverse


class Author(models.Model):
    """Somebody who writes."""

    name = models.CharField(max_length=80)
    slug = models.SlugField(unique=True)
    bio = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Article(models.Model):
    """One piece of writing."""

    title = models.CharField(max_length=120)
    slug = models.SlugField(unique=True)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="articles")
    summary = models.CharField(max_length=240)
    body = models.TextField()
    published_at = models.DateTimeField()

    class Meta:
        ordering = ["-published_at"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("article", kwargs={"slug": self.slug})


class Comment(models.Model):
    """What a reader said under an article."""

    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="comments")
    name = models.CharField(max_length=60)
    text = models.TextField(max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "pk"]

    def __str__(self) -> str:
        return f"{self.name} on {self.article}"
