"""A site asked by hand with a store of the test's own, and the inspector's page as its developer sees it."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import RequestFactory, override_settings

from pipeline_inspector import faults
from pipeline_inspector.page import views
from pipeline_inspector.recording import recorder
from pipeline_inspector.store import configured
from pipeline_inspector.store.base import Store
from pipeline_inspector.store.memory import MemoryStore
from tests.security.layers import LAYERS

PREFIX = "/__inspector__/"


def look(path: str = "", **headers: str) -> Any:
    """The answer to a GET of ``path`` under the prefix, as the developer's browser gets it."""
    factory = RequestFactory(headers={"Host": "localhost", **headers}, REMOTE_ADDR="127.0.0.1")
    return views.answer(factory.get(PREFIX + path))


def text_of(response: Any) -> str:
    """What a page says, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode()))


def api(path: str) -> Any:
    """The JSON of a call that succeeds."""
    response = look("api/" + path)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


@pytest.fixture
def site() -> Iterator[None]:
    """The site of ``tests.security.urls`` behind ``LAYERS``."""
    with override_settings(MIDDLEWARE=LAYERS, ROOT_URLCONF="tests.security.urls", DEBUG=False):
        yield


@pytest.fixture
def store(site: None) -> Iterator[Store]:
    """An empty store in memory, in use; the recorder has nothing left to do before and after."""
    recorder.settle()
    assert recorder.flush()
    faults.forget()
    with configured.use(MemoryStore(lambda: 500)) as made:
        yield made
        recorder.settle()
        assert recorder.flush()
    faults.forget()
