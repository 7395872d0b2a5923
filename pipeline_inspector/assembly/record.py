"""Packed tape to record: a pure function of a ``Sealed`` and its ``Plan``."""

from http import HTTPStatus

from pipeline_inspector import packed
from pipeline_inspector.assembly.contents import Contents, Places
from pipeline_inspector.assembly.way import Way
from pipeline_inspector.packed import NEVER
from pipeline_inspector.records import (
    Change,
    Dropped,
    ExceptionInfo,
    Frame,
    Plan,
    Request,
    RequestRecord,
    Response,
    Route,
    Sealed,
    Server,
    Stage,
    View,
)


def assemble(sealed: Sealed, plan: Plan | None) -> RequestRecord:
    """The finished record of ``sealed``; ``plan`` is the chain it ran through (None: unknown, layers stay unnamed)."""
    return _Record(sealed, plan or Plan(id="", interface="wsgi", layers=[])).made()


class _Record:
    def __init__(self, sealed: Sealed, plan: Plan) -> None:
        self.row = sealed.summary
        self.plan = plan
        self.tape = packed.decode(sealed.payload)
        self.way = Way(self.tape, plan, self.row.state)

    def made(self) -> RequestRecord:
        tape, row = self.tape, self.row
        core_changes = self._changes()
        contents = Contents(self.way)
        self._sends()
        return RequestRecord(
            id=row.id,
            seq=row.seq,
            state=row.state,
            started_at=row.started_at,
            duration_ns=self.way.end,
            own_cost_ns=tape.own_cost,
            server=self._server(),
            request=Request(
                method=row.method,
                path=row.path,
                query=row.query,
                scheme=tape.request.scheme,
                http_version=tape.request.http_version,
                client=tape.request.client,
                headers=tape.request.headers,
                body_bytes=tape.request.body_bytes,
            ),
            response=self._response(),
            route=self._route(),
            tried=tape.tried,
            view=self._view(),
            layers=self.way.layers,
            spans=self.way.spans,
            queries=contents.queries,
            templates=contents.templates,
            cache_calls=contents.cache_calls,
            logs=contents.logs,
            exception=self._exception(),
            toggles=[*row.toggles],
            dropped=Dropped(*tape.dropped),
            core_changes=core_changes,
            not_used=self.plan.not_used,
        )

    def _sends(self) -> None:
        began = self.tape.response_started
        end = self._sent_last()
        if NEVER not in (began, end) and end >= began:
            self.way.add("send", "send", None, began, end - began)
        places = Places(self.way.spans)
        for at, position in self.tape.again:
            layer = self.way.layer(position)
            around = places.of(at, at)
            self.way.add(
                "layer_in",
                f"{layer.name if layer else position} (entered again)",
                layer.index if layer else None,
                at,
                0,
                parent=around.id if around else None,
            )

    def _changes(self) -> list[Change]:
        core: list[Change] = []
        for position, on, what, name, kind, before, after in self.tape.changes:
            change = Change(on, what, name, kind, before, after)
            layer = self.way.layer(position)
            (core if layer is None else layer.changes).append(change)
        return core

    def _server(self) -> Server:
        tape = self.tape
        return Server(
            interface="asgi" if tape.server.interface == "asgi" else "wsgi",
            software=self.plan.software,
            pid=tape.server.pid,
            thread=tape.threads[0],
            process_started_at=tape.server.process_started_at,
            process=tape.server.process,
            call_path=self.plan.call_path,
            stages=self._stages(),
        )

    def _stages(self) -> list[Stage]:
        tape = self.tape
        named = [
            ("handler called", tape.called),
            ("set_script_prefix", tape.prefixed),
            ("request_started", tape.started),
            ("request object made", tape.opened),
            ("get_response", 0),
            ("response made", tape.end),
            ("start_response" if tape.server.interface == "wsgi" else "http.response.start", tape.response_started),
            ("first byte", tape.first_byte),
            *((f"chunk {number}", at) for number, at in enumerate(tape.chunk_stamps[1:], 2)),
            ("last byte", tape.last_byte),
            ("close", tape.closed),
            ("request_finished", tape.finished),
        ]
        values = {"set_script_prefix": tape.prefix}
        return [Stage(name, at, values.get(name, "")) for name, at in named if at != NEVER]

    def _sent_last(self) -> int:
        return self.tape.last_byte if self.tape.last_byte != NEVER else self.tape.closed

    def _response(self) -> Response | None:
        tape = self.tape
        if self.row.status is None:
            return None
        last = self._sent_last()
        return Response(
            status=self.row.status,
            reason=_reason(self.row.status),
            headers=tape.response_headers,
            streaming=tape.streaming,
            body_bytes=tape.response_bytes,
            first_byte_ns=tape.first_byte if tape.first_byte != NEVER else None,
            last_byte_ns=last if last != NEVER else None,
            chunks=tape.chunks,
            closed=tape.closed != NEVER,
        )

    def _route(self) -> Route | None:
        route = self.tape.route
        if route is None:
            return None
        setter = self.way.layer(self.tape.urlconf_set_by or 0)
        return Route(
            pattern=route.pattern,
            name=route.name,
            namespaces=route.namespaces,
            kwargs=route.kwargs,
            urlconf=self.tape.urlconf,
            urlconf_set_by=setter.id if setter else None,
            converters=route.converters,
        )

    def _view(self) -> View | None:
        view = self.tape.view
        if view is None:
            return None
        return View(view.name, view.kind, view.file, view.line, view.atomic, view.method, view.decorators)  # type: ignore[arg-type]

    def _exception(self) -> ExceptionInfo | None:
        error = next((error for error in self.tape.errors if error.type != "CancelledError"), None)
        if error is None:
            return None
        # One raised by a hook while the first was handled takes its place: whoever rescued that one rescued both.
        rescuer = next((met.rescued_by for met in self.tape.errors if met.rescued_by is not None), None)
        return ExceptionInfo(
            type=error.type,
            message=error.message,
            frames=self._frames(error.frames),
            raised_in=self._place(error.where),
            rescued_by=self._place(rescuer) if rescuer is not None else None,
            chain=error.chain,
            chain_frames=[self._frames(frames) for frames in error.chain_frames],
        )

    def _frames(self, frames: list[tuple[str, int, int]]) -> list[Frame]:
        return [Frame(function, self.tape.texts[file], line) for function, file, line in frames]

    def _place(self, where: tuple[str, int]) -> str:
        kind, position = where
        layer = self.way.layer(position)
        if kind == "django" or layer is None:
            return kind
        return layer.id if kind == "layer" else f"{layer.id}.{kind.removeprefix('hook:')}"


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
