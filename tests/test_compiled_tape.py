"""The compiled tape: its slots and fields hold what the Python ones hold, and let go of it."""

import gc
import operator
import sys
from collections import deque
from collections.abc import Callable
from threading import get_ident
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline_inspector import clock, compiled, packed
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.attributes import sieves
from pipeline_inspector.recording.events import hooks
from pipeline_inspector.recording.fields import PureFields, pure_snapshot
from pipeline_inspector.recording.kinds import AGAIN, EVENT_LIMIT, HOOK
from pipeline_inspector.recording.moments import FIRST_BYTE, OF_TAPE, OF_WAY, RESPONSE_STARTED, VIEW_START
from pipeline_inspector.recording.numbering import Threads
from pipeline_inspector.recording.slots import (
    ATTRIBUTES_IN,
    ATTRIBUTES_OUT,
    COOKIES,
    ENTRY,
    EXIT,
    HEADERS,
    HOP_END,
    HOP_START,
    STATUS,
    STRIDE,
)
from pipeline_inspector.recording.stamps import pure_stamps
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.recording.way import PureWay
from tests.scenarios.comparing import HERE
from tests.scenarios.driving import site, through_wsgi

half: Any = compiled.half
STAMPS = ENTRY, EXIT, HOP_START, HOP_END


class PureTape(PureFields):
    """Notes what is asked of it beyond its fields."""

    __slots__ = ()

    def all_of(self, attributes: dict[str, Any]) -> Any:
        """Like a tape's."""
        self.only_added = False
        self.width, self.newest = 1_000_000_000, None
        return {**attributes}

    def add(self, event: tuple[Any, ...]) -> None:
        """Like a tape's."""
        if len(self.events) < EVENT_LIMIT:
            self.events.append(event)
        else:
            self.dropped += 1


OF_BOTH = {"__slots__": (), "all_of": PureTape.all_of, "add": PureTape.add}
CompiledTape: Any = type("CompiledTape", (half.Fields,), OF_BOTH) if half else None


names = st.sampled_from(["one", "two", "three", "four", "resolver_match"])
things = st.sampled_from([None, True, 7, "text", (1, 2), [3]])
deeds = st.one_of(
    st.tuples(st.just("set"), names, things), st.tuples(st.just("take away"), names, st.none()), st.just("look")
)


def _played(kind: Any, deeds: list[Any], match: Any, *, learns: bool) -> list[Any]:
    request = SimpleNamespace(META={}, path="/", method="GET", resolver_match=None, one="there before")
    tape = kind(None, [0] * STRIDE, 1, request)
    request._pipeline_tape = tape
    own = request.__dict__
    if learns:
        Tape.learn(tape)
    told = [tape.width, tape.first, tape.newest, tape.method, tape.path, [*tape.slots]]
    for deed in deeds:
        if deed == "look":
            if len(own) != tape.width:
                looked = tape.looked(own)
                told.append({**looked, "_pipeline_tape": 0} if isinstance(looked, dict) else looked)
            told += [tape.width, tape.newest, [*tape.came], tape.only_added]
        elif deed[0] == "set":
            own[deed[1]] = deed[2]
        else:
            own.pop(deed[1], None)
    tape.match = match
    tape.settle(own, sieves)
    kept = {**tape.attributes, "_pipeline_tape": 0}
    return [*told, tape.left, kept, [*tape.came], tape.first]


BESIDE_A_GAP = [
    *(("set", "two", 1), ("set", "three", 1), ("take away", "two", None), ("set", "two", 1), "look"),
    *(("set", "four", 1), "look"),
]
"""What was taken away before anybody looked leaves a gap in a dict."""


@settings(max_examples=500)
@given(st.lists(deeds, max_size=14), things, st.booleans())
@example(BESIDE_A_GAP, None, False)
@example(BESIDE_A_GAP, None, True)
def test_attributes_are_kept_and_left_behind_as_the_python_half_does(
    deeds: list[Any], match: Any, learns: bool
) -> None:
    assert _played(CompiledTape, deeds, match, learns=learns) == _played(PureTape, deeds, match, learns=learns)


stamps = st.integers(-(2**63), 2**63 - 1)
kept = st.one_of(st.integers(), st.none(), st.text(), st.dictionaries(st.text(), st.text()))


@given(st.integers(0, 3), st.data())
def test_slots_hold_what_a_list_holds(positions: int, data: st.DataObject) -> None:
    expected: list[Any] = [0] * STRIDE * positions
    slots = half.Slots(expected)
    for number in data.draw(st.lists(st.integers(0, max(0, len(expected) - 1)), max_size=20)) if positions else ():
        expected[number] = slots[number] = data.draw(stamps if number % STRIDE in STAMPS else kept)
    assert len(slots) == len(expected)
    assert [*slots] == expected == half.Slots(expected)[:]
    some = data.draw(st.slices(len(expected)))
    assert slots[some] == expected[some]
    assert [*Tape(None, slots, 1, RequestFactory().get("/")).slots] == expected
    assert [*slots] == expected


def came_out(tape: Any, base: int, response: Any) -> None:
    """The ``response`` of a layer that let the request's attributes be."""
    tape.came_out(base, dict.fromkeys(range(tape.width)), response)


def test_more_headers_than_a_short_number_counts_are_kept() -> None:
    tape = Tape(None, [0] * 2 * STRIDE, 1, RequestFactory().get("/"))
    many = {f"X-{number}": str(number) for number in range(70_000)}
    for base, sent in ((0, {**many, "X-Last": "1"}), (STRIDE, {**many, "X-Last": "2"})):
        came_out(tape, base, HttpResponse(headers=sent))
        assert tape.slots[base + HEADERS] == HttpResponse(headers=sent).headers._store


headers = st.dictionaries(st.sampled_from("abc"), st.sampled_from([("A", "1"), ("B", "2"), ("C", "3")]))


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 200, 404]), headers), max_size=3),
    headers,
)
def test_ways_have_the_same_outline_when_they_differ_in_values_only(ways: list[Any], answer: dict[str, Any]) -> None:
    """By it a request is known to be of a shape that was met before."""

    def outline(values: list[Any], answer: dict[str, Any]) -> bytes | None:
        places = []
        for came, went, status, headers in values:
            place: list[Any] = [0] * STRIDE
            place[ATTRIBUTES_IN], place[ATTRIBUTES_OUT], place[STATUS], place[HEADERS] = came, went, status, headers
            places += place
        return half.outline(half.Slots(places), answer)

    found = outline(ways, answer)
    only_added = all([*one.values()] == [*answer.values()][: len(one)] for *_, one in ways)
    assert (found is not None) == only_added
    if found is not None:
        other = {name: (*value,) for name, value in answer.items()}
        assert found == outline([(*way[:3], dict([*other.items()][: len(way[3])])) for way in ways], other)
        for number, (came, went, status, headers) in enumerate(ways):
            changed = [(came + 1, went, status, headers), (came, went + 1, status, headers), (came, went, 500, headers)]
            for one in changed:
                assert outline([*ways[:number], one, *ways[number + 1 :]], answer) != found


@pytest.mark.parametrize(
    ("place", "value"),
    [(ATTRIBUTES_IN, {}), (ATTRIBUTES_OUT, -1), (STATUS, 70_000), (STATUS, "200"), (COOKIES, {"a": "b"})],
)
def test_a_way_with_more_on_it_than_numbers_has_no_outline(place: int, value: Any) -> None:
    slots = half.Slots([0] * STRIDE)
    assert half.outline(slots, {}) is not None
    slots[place] = value
    assert half.outline(slots, {}) is None


texts = st.text("abcXYZ-019", min_size=1, max_size=5)


@settings(max_examples=200)
@given(st.dictionaries(texts, texts), st.dictionaries(texts, texts), st.integers(200, 599), st.booleans())
def test_an_answer_is_kept_as_the_python_half_does(
    headers: dict[str, str], cookies: dict[str, str], status: int, again: bool
) -> None:
    response = HttpResponse(status=status, headers=headers)
    for name, value in cookies.items():
        response.set_cookie(name, value)
    told = []
    for kind in (CompiledTape, PureTape):
        tape = kind(None, [0] * STRIDE * 2, 1, RequestFactory().get("/"))
        came_out(tape, STRIDE, response)
        if again:
            came_out(tape, 0, response)
        told.append(([*tape.slots], tape.headers, tape.status))
        assert tape.slots[STRIDE + HEADERS] == response.headers._store
        assert tape.slots[STRIDE + HEADERS] is not response.headers._store
    assert told[0] == told[1]
    assert told[0][0][STRIDE + STATUS] == status
    assert told[0][0][STRIDE + COOKIES] == (cookies or 0)
    assert half.snapshot(response) == pure_snapshot(response) == (status, response.headers._store, cookies or 0)
    assert half.snapshot(response)[1] is not response.headers._store


@pytest.mark.parametrize("thing", [None, 3, "text", object(), SimpleNamespace(headers=3), HttpResponse])
def test_what_is_no_response_has_no_snapshot(thing: Any) -> None:
    assert half.snapshot(thing) is None
    assert pure_snapshot(thing) is None


def test_a_tape_that_is_let_go_of_is_as_it_began() -> None:
    tape = Tape(None, [0] * STRIDE, 1, RequestFactory().get("/"))
    names = [name for name in vars(PureFields) if not name.startswith("_") and not callable(getattr(PureFields, name))]
    begun = {name: getattr(tape, name) for name in names if name not in PureFields.__slots__}
    assert begun == {name: getattr(PureFields, name) for name in begun}
    assert len(begun) > 25
    for name in begun:
        setattr(tape, name, 7)
    came_out(tape, 0, HttpResponse())
    assert tape.headers
    assert tape.first
    for name in ("events", "meta", "newest"):
        setattr(tape, name, {"what": "it was"})
    tape.slots[ENTRY], tape.slots[HEADERS] = 7, {"what": "it was"}
    tape.came = [("name", object())]
    tape.forget()
    assert {name: getattr(tape, name) for name in begun} == begun
    assert [*tape.slots] == [0] * STRIDE
    assert (tape.events, tape.came, tape.meta, tape.first, tape.headers, tape.newest) == ([], [], {}, {}, None, None)


@pytest.mark.parametrize("kind", [CompiledTape, PureTape])
def test_a_moment_of_a_tape_is_written_down_by_its_number(kind: Any) -> None:
    for number, name in enumerate(OF_TAPE):
        tape = kind(None, [0] * STRIDE, 1, RequestFactory().get("/"))
        before = clock.now()
        tape.stamp(number)
        assert before <= getattr(tape, name) <= clock.now()
        assert [getattr(tape, other) for other in OF_TAPE if other != name] == [0] * (len(OF_TAPE) - 1)
        assert tape.view_thread == (get_ident() if number == VIEW_START else 0)


def _stamped(data: st.DataObject) -> Any:
    """A tape with any stamps at all, and a way or none."""
    slots = [0] * STRIDE * data.draw(st.integers(0, 20))
    for number in range(len(slots)):
        if number % STRIDE in STAMPS and data.draw(st.booleans()):
            slots[number] = data.draw(stamps)
    tape = Tape(None, slots, 1, RequestFactory().get("/"))
    tape.transport = data.draw(st.sampled_from([None, half.Way()]))
    for thing, moments in ((tape, OF_TAPE), (tape.transport, OF_WAY)):
        for name in moments if thing is not None else ():
            setattr(thing, name, data.draw(stamps))
    return tape


def _fields(begun: bytes) -> list[Any]:
    nothing = (None,) * (len(packed.Packed.__struct_fields__) - 4 - len(OF_TAPE) - len(OF_WAY))
    return list(msgspec.msgpack.decode(packed.joined((begun, packed.pack(nothing)))))


@given(st.data())
def test_stamps_are_packed_as_the_python_half_packs_them(data: st.DataObject) -> None:
    tape = _stamped(data)
    told = _fields(half.stamps(tape))
    assert told == _fields(pure_stamps(tape))
    assert told[0] == (tape.start or tape.opened_at)
    assert told[4 : 4 + len(OF_TAPE)] == [tape.opened_at, *[getattr(tape, one) for one in OF_TAPE[1:]]]


MAIN = get_ident()
hook_events = st.tuples(
    st.sampled_from([HOOK, HOOK, HOOK, AGAIN]),
    *(st.integers(0, 2**62), st.integers(0, 2**62)),
    st.sampled_from([MAIN, MAIN, MAIN, 1]),
    st.integers(0, 40),
    st.sampled_from(["process_view", "process_exception", "", "x" * 31, "x" * 32, "\udc80", "é"]),
    st.sampled_from([False, False, False, True]),
    *(st.none(), st.none()),
    *(st.sampled_from([0, 0, 0, 7]), st.just(0)),
    st.sampled_from([None, None, None, "ValueError"]),
)


@given(st.lists(hook_events, max_size=20), st.integers(0, 2**62), st.sampled_from([0, 0, 5, 2**62]))
def test_plain_hooks_are_packed_as_the_python_half_packs_them(events: list[Any], start: int, left: int) -> None:
    tape = Tape(None, [0] * STRIDE, 1, RequestFactory().get("/"))
    tape.transport, tape.start, tape.view_thread = half.Way(), start, tape.thread
    tape.slots[EXIT] = left
    tape.events += events
    kept, called, others, in_hooks, answerer = hooks(tape, tape.start or tape.opened_at, Threads({tape.thread: 0}))
    plain = half.plain_hooks(tape)
    if plain is None:
        assert any(
            event[0] != HOOK or event[3] == 1 or event[6] or event[9] or event[11] or left < event[1]
            or event[5] not in ("process_view", "process_exception", "x" * 31)
            for event in events
        )  # fmt: skip
    else:
        assert msgspec.msgpack.decode(plain[0]) == [[*one] for one in kept]
        assert (len(called), others, in_hooks, answerer) == (len(events), [], plain[1], 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("view_thread", 1),
        ("dropped", 1),
        ("query_count", 1),
        ("events", ()),
        ("events", [1]),
        ("events", [("4",) * 12]),
    ],
)
def test_hooks_beside_something_else_are_not_plain(field: str, value: Any) -> None:
    tape = Tape(None, [0] * STRIDE, 1, RequestFactory().get("/"))
    tape.view_thread = tape.thread
    assert half.plain_hooks(tape) == (packed.encode([]), 0)
    setattr(tape, field, value)
    assert half.plain_hooks(tape) is None


def _in_two_pieces() -> HttpResponse:
    response = HttpResponse("hel")
    response.write("lo")
    return response


@pytest.mark.parametrize("kind", [CompiledTape, PureTape])
@pytest.mark.parametrize(
    ("answer", "in_one_piece"),
    [
        (lambda: HttpResponse("hello", status=201, headers={"X-One": "1"}), True),
        (HttpResponse, True),
        (_in_two_pieces, False),
        (lambda: StreamingHttpResponse([b"hello"]), False),
    ],
)
def test_what_the_chain_answered_is_noted(kind: Any, answer: Any, in_one_piece: bool) -> None:
    request, response = RequestFactory().get("/"), answer()
    tape = kind(None, [0] * STRIDE, 1, request)
    request._pipeline_tape = tape
    closers = [*response._resource_closers]
    done = tape.through(request.__dict__, response, sieves)
    assert tape.response == pure_snapshot(response)
    assert {*tape.attributes} >= {"resolver_match"} or tape.left is not None
    assert done == (in_one_piece and kind is CompiledTape)
    assert tape.body_bytes == (len(response.content) if done else None)
    assert response._resource_closers == [*closers, *([tape.sent] if done else [])]


@pytest.mark.parametrize("kind", [CompiledTape, PureTape])
def test_a_tape_is_over_once(kind: Any) -> None:
    tape, other = (kind(None, [0] * STRIDE, number, RequestFactory().get("/")) for number in (1, 2))
    running = {1: tape, 2: other}
    assert [tape.over(running), tape.over(running)] == [True, False]
    assert (tape.open, tape.newest, tape.task, running) == (False, None, None, {2: other})
    assert (other.open, other.newest) == (True, "_pipeline_tape")


def test_a_hook_is_written_down_as_the_python_half_does() -> None:
    events = []
    for made in (CompiledTape, PureTape):
        request = RequestFactory().get("/")
        tape = made(None, [0] * STRIDE, 1, request)
        request._pipeline_tape = tape
        for name in (None, "one", None):
            if name:
                setattr(request, name, "came")
            before = clock.now()
            tape.hooked(request.__dict__, before, 3, False)
            [*_, (kind, start, end, *rest)] = tape.events
            assert start == before <= end <= clock.now()
            events.append((kind, *rest))
        tape.events.extend([()] * (EVENT_LIMIT - len(tape.events)))
        tape.hooked(request.__dict__, 0, 3, True)
        assert (len(tape.events), tape.dropped) == (EVENT_LIMIT, 1)
    assert events[:3] == events[3:]


@pytest.mark.parametrize("closers", [None, (), [], [print], [print, print], [[].append, print], ["text", "text"]])
def test_a_body_that_is_not_of_a_request_in_hand_is_handed_out(closers: Any) -> None:
    response = HttpResponse("hello")
    response._resource_closers = closers
    assert [*response] == [b"hello"]
    del response._resource_closers
    assert [*response] == [b"hello"]


arrivals = pytest.mark.parametrize("arrived", [half.arrived if half else None, PureWay.arrived])


@pytest.mark.parametrize("kind", [half.Way if half else None, PureWay])
def test_a_moment_of_a_way_is_written_down_by_its_number(kind: Any) -> None:
    for number, name in enumerate(OF_WAY):
        way = kind()
        assert [getattr(way, one) for one in (*OF_WAY, "chunks", "sent")] == [0] * 8
        before = clock.now()
        way.stamp(number)
        written = [one for one in OF_WAY if before <= getattr(way, one) <= clock.now()]
        assert written == ([name] if number != FIRST_BYTE else []), "a body begins when the response was started"
    way.stamp(RESPONSE_STARTED)
    way.stamp(FIRST_BYTE)
    first = way.first_byte
    assert first >= way.response_started > 0
    way.stamp(FIRST_BYTE)
    assert way.first_byte == first


@arrivals
@pytest.mark.parametrize("told", [("200 OK", []), ("500 Oh", [], (ValueError, ValueError("no"), None))])
def test_a_way_starts_the_response_as_it_was_told_to(arrived: Any, told: tuple[Any, ...]) -> None:
    source: dict[str, Any] = {}
    way = arrived(source, lambda *given: given)
    assert way.source is source
    assert way.called > 0
    assert way.starting(*told) == told
    assert way.response_started >= way.called
    way.tape = object()
    way.forget()
    assert (way.tape, way.source, way.script_prefix, len(way.chunk_stamps)) == (None, None, "", 0)


@arrivals
def test_a_way_that_cannot_start_the_response_raises_what_was_raised(arrived: Any) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        arrived({}, refuse).starting("200 OK", [])


class Aside(deque[Tape]):
    """A queue that the recorder thread finds empty."""

    def __len__(self) -> int:
        return 0


def test_a_tape_that_waits_is_left_out_of_the_collectors_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "waiting", queue := Aside())
    with site([HERE + "Both"] * 3):
        handler = WSGIHandler()
        through_wsgi(handler, "/")
        handler._middleware_chain = None
    tape = queue.popleft()
    assert [gc.is_tracked(one) for one in (tape, tape.slots, tape.events, tape.transport, tape.response)] == [False] * 5
    recorder.clear(tape)
    gc.collect()
    assert sys.getrefcount(tape) == 2, "somebody besides this test holds it still"


def test_a_tape_that_is_diverted_is_left_to_the_collector() -> None:
    """Nobody may ever clear it."""
    with site([HERE + "Both"]), recorder.diverted() as tapes:
        through_wsgi(WSGIHandler(), "/")
    assert [gc.is_tracked(one) for one in (tapes[0], tapes[0].slots, tapes[0].response)] == [True] * 3


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda tape: Tape(None, (), 1, RequestFactory().get("/")), TypeError),
        (lambda tape: Tape(None, [], 1, object()), AttributeError),
        (lambda tape: tape.looked(3), TypeError),
        (lambda tape: tape.came_out(0, {}), TypeError),
        (lambda tape: tape.came_out(0, [], HttpResponse()), TypeError),
        (lambda tape: tape.came_out(-1, {}, HttpResponse()), IndexError),
        (lambda tape: tape.came_out(STRIDE, {}, HttpResponse()), IndexError),
        (lambda tape: came_out(tape, 0, None), AttributeError),
        (lambda tape: tape.settle({}), TypeError),
        (lambda tape: tape.settle([], {}), TypeError),
        (lambda tape: tape.through({}, HttpResponse()), TypeError),
        (lambda tape: tape.through([], HttpResponse(), {}), TypeError),
        (lambda tape: tape.through({}, None, sieves), AttributeError),
        (lambda tape: tape.over([]), TypeError),
        (lambda tape: tape.hooked({}, 0, 1), TypeError),
        (lambda tape: tape.hooked([], 0, 1, False), TypeError),
        (lambda tape: half.finished(1), TypeError),
        (lambda tape: half.begun(None), TypeError),
        (lambda tape: half.begun(None, [], "1", RequestFactory().get("/"), ()), TypeError),
        (lambda tape: setattr(tape, "came", ["name"]), TypeError),
        (lambda tape: delattr(tape, "came"), TypeError),
        (lambda tape: half.Slots((0,) * STRIDE), TypeError),
        (lambda tape: half.Slots([0]), ValueError),
        (lambda tape: half.Slots(["now"] * STRIDE), TypeError),
        (lambda tape: half.Slots([0] * STRIDE)[STRIDE], IndexError),
        (lambda tape: half.Slots([0] * STRIDE)["first"], TypeError),
        (lambda tape: operator.setitem(half.Slots([0] * STRIDE), ENTRY, "now"), TypeError),
        (lambda tape: operator.setitem(half.Slots([0] * STRIDE), -1, 0), IndexError),
        (lambda tape: operator.delitem(half.Slots([0] * STRIDE), 0), IndexError),
        (lambda tape: half.outline([0] * STRIDE, {}), TypeError),
        (lambda tape: half.outline(half.Slots([0] * STRIDE), None), TypeError),
        (lambda tape: half.stamps(None), TypeError),
        (lambda tape: half.stamps(half.Fields.__new__(half.Fields)), TypeError),
        (lambda tape: setattr(tape, "transport", 1) or half.stamps(tape), TypeError),
        (lambda tape: delattr(tape, "transport") or half.stamps(tape), TypeError),
        (lambda tape: half.plain_hooks(None), TypeError),
        (lambda tape: delattr(tape, "slots") or half.plain_hooks(tape), TypeError),
        (lambda tape: half.likeness(tape), TypeError),
        (lambda tape: half.likeness(None, "wsgi"), TypeError),
        (lambda tape: half.alike({}), TypeError),
        (lambda tape: half.seam(None), TypeError),
        (lambda tape: half.seam(*[None] * 3, -1, *[None] * 4), ValueError),
        (lambda tape: half.snapshot(), TypeError),
        (lambda tape: tape.stamp(len(OF_TAPE)), IndexError),
        (lambda tape: tape.stamp(-1), IndexError),
        (lambda tape: tape.stamp("end"), TypeError),
        (lambda tape: half.Way(None), TypeError),
        (lambda tape: half.arrived({}), TypeError),
        (lambda tape: half.now(1), TypeError),
        (lambda tape: half.Way().stamp(len(OF_WAY)), IndexError),
        (lambda tape: half.Way().stamp(-1), IndexError),
        (lambda tape: half.Way().stamp(None), TypeError),
    ],
)
def test_wrong_arguments_are_errors(call: Callable[[Any], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call(Tape(None, [0] * STRIDE, 1, RequestFactory().get("/")))
