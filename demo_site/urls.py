"""The addresses of the demo site."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from demo_site import api, views

api_patterns = [
    path("articles/", api.articles, name="articles"),
    path("articles/<slug:slug>/", api.article, name="article"),
    path("articles/<slug:slug>/comments/", api.comments, name="comments"),
]

urlpatterns = [
    path("", views.home, name="home"),
    path("articles/<slug:slug>/", views.ArticleView.as_view(), name="article"),
    path("articles/<slug:slug>/comment/", views.comment, name="comment"),
    path("authors/", views.authors, name="authors"),
    path("editions/<int:year>/", views.edition, name="edition"),
    path("search/", views.search, name="search"),
    path("slow/", views.slow, name="slow"),
    path("digest/", views.digest, name="digest"),
    path("index.csv", views.index_csv, name="index-csv"),
    path("ticker/", views.ticker, name="ticker"),
    path("download/", views.download, name="download"),
    path("broken/", views.broken, name="broken"),
    path("unprinted/", views.unprinted, name="unprinted"),
    path("old/", views.old_address, name="old"),
    path("account/", views.account, name="account"),
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("api/", include((api_patterns, "api"))),
    path("admin/", admin.site.urls),
]
