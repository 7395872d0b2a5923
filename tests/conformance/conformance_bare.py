"""Settings of Django's own tests, with results written as data. Without the inspector."""

from test_sqlite import *  # noqa: F403 - the settings that come with Django's tests

TEST_RUNNER = "conformance_results.WritingRunner"
