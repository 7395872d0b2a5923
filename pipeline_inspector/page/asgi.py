"""The ASGI application behind our one socket, ``<prefix>live/``; it takes any path it is given."""

from pipeline_inspector.page.consumers import LiveConsumer

application = LiveConsumer.as_asgi()
