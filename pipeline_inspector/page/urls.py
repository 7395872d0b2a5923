"""The addresses under the prefix. Resolved by ``views.answer()`` alone; the site's own URLs never see them."""

from django.urls import path, re_path

from pipeline_inspector.page import actions, api, assets, events, views

urlpatterns = [
    path("", views.index),
    path("requests/<str:record_id>/", views.one_request),
    path("pipeline/", views.pipeline),
    path("compare/", views.compare),
    path("startup/", views.startup),
    path("rows/", views.rows),
    path("events/", events.stream),
    path("assets/<path:name>", assets.asset),
    path("actions/layers/<str:layer>/", actions.switch_button),
    path("actions/reset/", actions.reset_button),
    path("actions/clear/", actions.clear_button),
    path("api/requests/", api.requests),
    path("api/requests/<str:record_id>/", api.record),
    path("api/requests/<str:record_id>/export/<str:name>/", api.export),
    path("api/pipeline/", api.pipeline),
    path("api/layers/<str:layer>/", api.layer),
    path("api/openapi.json", api.description),
    re_path(r"^api/", api.unknown),
]
