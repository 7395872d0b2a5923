"""The demo site's models in Django's admin."""

from django.contrib import admin

from demo_site.models import Article, Author, Comment


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    """Articles, newest first."""

    list_display = ["title", "author", "published_at"]
    list_filter = ["author"]
    search_fields = ["title", "body"]
    prepopulated_fields = {"slug": ["title"]}


@admin.register(Author)
class AuthorAdmin(admin.ModelAdmin):
    """Authors by name."""

    list_display = ["name", "slug"]


@admin.register(Comment)
class CommentAdmin(admin.ModelAdmin):
    """Comments, with what they are about."""

    list_display = ["name", "article", "created_at"]
