"""Log lines of a request are kept as written, and logging works as if nobody listened."""

import io
import logging
import threading
import traceback
import unittest
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from pipeline_inspector import faults
from pipeline_inspector.probes import logs
from pipeline_inspector.recording.kinds import LOG
from pipeline_inspector.recording.tape import Tape
from tests.probes.taping import events, taping


class Seen(NamedTuple):
    start: int
    end: int
    thread: int
    level: str
    logger: str
    template: Any
    args: Any
    file: str
    line: int


class Untold:
    """An argument whose text nobody may ask for."""

    def __str__(self) -> str:
        raise AssertionError("asked")

    __repr__ = __str__


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    logs.install()
    faults.forget()
    yield
    assert faults.seen() == []


@pytest.fixture
def logger() -> logging.Logger:
    """A logger outside the tree of all others, whose lines go nowhere."""
    quiet = logging.Logger("site.quiet", logging.INFO)
    quiet.addHandler(logging.NullHandler())
    return quiet


def lines(tape: Tape) -> list[Seen]:
    return [Seen(*event) for event in events(tape, LOG)]


def test_a_line_knows_its_level_logger_and_place(logger: logging.Logger) -> None:
    with taping() as tape:
        logger.warning("no %s", "luck")
    (line,) = lines(tape)
    assert (line.level, line.logger, line.template, line.args) == ("WARNING", "site.quiet", "no %s", ("luck",))
    assert line.file == __file__
    assert line.line == test_a_line_knows_its_level_logger_and_place.__code__.co_firstlineno + 2
    assert line.thread == threading.get_ident()
    assert 0 < line.start <= line.end


def test_a_line_that_a_handler_wrote_is_kept_as_written(logger: logging.Logger) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger.addHandler(handler)
    try:
        with taping() as tape:
            logger.info("%d of %d", 1, 2)
    finally:
        logger.removeHandler(handler)
    assert written.getvalue() == "1 of 2\n"
    assert [(line.template, line.args) for line in lines(tape)] == [("1 of 2", ())]


def test_arguments_nobody_wrote_out_are_not_asked_for_their_text(logger: logging.Logger) -> None:
    argument = Untold()
    with taping() as tape:
        logger.info("got %s", argument)
    assert lines(tape)[0].args == (argument,)


def test_lines_below_the_level_or_filtered_are_not_kept(logger: logging.Logger) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        return "secretly" not in record.msg

    logger.addFilter(refuse)
    try:
        with taping() as tape:
            logger.debug("quiet")
            logger.info("secretly")
            logger.info("loud")
    finally:
        logger.removeFilter(refuse)
    assert [line.template for line in lines(tape)] == ["loud"]


def test_our_own_lines_are_not_kept() -> None:
    with taping() as tape:
        logging.getLogger("pipeline_inspector").warning("of ours")
        logging.getLogger("pipeline_inspector.store").warning("of ours")
        logging.getLogger("pipeline_inspector_like").warning("of theirs")
    assert [line.logger for line in lines(tape)] == ["pipeline_inspector_like"]


def test_nothing_is_kept_outside_a_request(logger: logging.Logger) -> None:
    with taping() as tape:
        pass
    logger.info("later")
    assert tape.events == []


def test_a_line_goes_to_its_handlers_once_and_to_the_tape_once(logger: logging.Logger) -> None:
    handled: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            handled.append(record.getMessage())

    logs.install()
    logger.addHandler(Keeping())
    with taping() as tape:
        logger.info("once")
    assert handled == ["once"]
    assert len(lines(tape)) == 1


def test_other_tools_still_catch_what_they_wait_for(caplog: pytest.LogCaptureFixture) -> None:
    case = unittest.TestCase()
    with taping() as tape, case.assertLogs("site.loud", "INFO") as caught:
        logging.getLogger("site.loud").info("once")
    with caplog.at_level(logging.INFO, "site.loud"):
        logging.getLogger("site.loud").info("again")
    assert caught.output == ["INFO:site.loud:once"]
    assert "again" in caplog.messages
    assert len(lines(tape)) == 1


def test_the_place_of_a_line_is_the_callers_with_stacklevel_too(caplog: pytest.LogCaptureFixture) -> None:
    def helper() -> None:
        logging.getLogger("site.place").warning("here", stacklevel=2)

    with taping() as tape:
        helper()
    (record,) = caplog.records
    assert record.funcName == "test_the_place_of_a_line_is_the_callers_with_stacklevel_too"
    assert lines(tape)[0].line == record.lineno


def test_the_handler_of_last_resort_still_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    with taping() as tape:
        logging.Logger("site.lonely").warning("anybody?")
    assert "anybody?" in capsys.readouterr().err
    assert len(lines(tape)) == 1


def test_a_failing_handler_fails_as_before(logger: logging.Logger) -> None:
    class Failing(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("disk full")

    handler = Failing()
    logger.addHandler(handler)
    try:
        with taping() as tape, pytest.raises(OSError, match="disk full") as caught:
            logger.info("lost")
    finally:
        logger.removeHandler(handler)
    assert len(lines(tape)) == 1
    assert all("pipeline_inspector/probes" not in line.filename for line in traceback.extract_tb(caught.tb))


def test_loggers_look_as_if_nobody_listened() -> None:
    assert logging.Logger.callHandlers.__qualname__ == "Logger.callHandlers"
    assert all("pipeline_inspector" not in type(handler).__module__ for handler in logging.getLogger().handlers)
