"""Start-up: how this process came to serve, from real call stacks at three moments, and who serves.

What an installed app cannot see, it does not guess: packages and models of the apps listed before ours are imported before
we run, and ``ready()`` of those is over, so they show no time unless ``watch_apps()`` was called while models are imported;
the time before Python's first line is in the process's start, where the system tells it (else it begins with our import).
"""

import os
import platform
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache, partial, wraps
from pathlib import Path
from types import FrameType
from typing import Any

import django
from django.apps import AppConfig, apps
from django.conf import settings

from pipeline_inspector import clock, conf, faults
from pipeline_inspector.probes import paths
from pipeline_inspector.probes.base import belongs_to_user
from pipeline_inspector.recording.frames import stacks
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.records import Frame, Process, Stage

APPS_READY, CHAIN_LOADED, FIRST_REQUEST = "apps ready", "chain loaded", "first request"
CHANGED_KEPT = 200

# What a file on the stack tells; the first that fits is the server. The second text is the distribution's name.
_SERVERS = (
    ("/django/test/client.py", "test client", ""),
    ("/gunicorn/", "gunicorn", "gunicorn"),
    ("/uvicorn/", "uvicorn", "uvicorn"),
    ("/hypercorn/", "hypercorn", "hypercorn"),
    ("/granian/", "granian", "granian"),
    ("/daphne/", "daphne", "daphne"),
    ("/waitress/", "waitress", "waitress"),
    ("/cheroot/", "cheroot", "cheroot"),
    ("/werkzeug/", "werkzeug", "werkzeug"),
    ("/django/test/testcases.py", "live server of a test", ""),
    ("/commands/runserver.py", "runserver", ""),
    ("/wsgiref/", "wsgiref", ""),
)

_imported_at = clock.now()


class _State:
    """What is known of this process so far."""

    def __init__(self) -> None:
        age = _age_ns()
        self.id = secrets.token_hex(4)
        self.pid = os.getpid()
        self.started = clock.now() - age
        self.started_wall = clock.wall() - age
        self.interface = ""
        self.software: Callable[[], str] = str
        self.moments: dict[str, int] = {}
        self.paths: dict[str, list[Frame]] = {}
        self.imports: dict[str, int] = {}
        self.readies: dict[str, int] = {}
        self.layers: list[tuple[str, int, int]] = []
        self.told: Process | None = None

    def forked(self) -> "_State":
        """The state of a child: a process of its own, with what it inherits of its parent's way."""
        child = _State()
        child.moments = {name: at - child.started + self.started for name, at in self.moments.items()}
        child.paths, child.imports, child.readies = dict(self.paths), self.imports, self.readies
        child.interface, child.layers = self.interface, self.layers
        return child


def _age_ns() -> int:
    """Nanoseconds since this process started; since our import where the system does not tell."""
    since_import = clock.now() - _imported_at
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        ticks = int(fields[19])
        age = int((_uptime_s() - ticks / os.sysconf("SC_CLK_TCK")) * 1_000_000_000)
    except Exception:
        return since_import
    return age if age >= since_import else since_import


def _uptime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_state = _State()


def _after_fork() -> None:
    global _state
    _state = _state.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# -- the moments --------------------------------------------------------------------------------------------------------


def apps_ready() -> None:
    """Our ``AppConfig.ready()`` runs. The first time counts; from here on the ``ready()`` of later apps is timed."""
    if _moment(APPS_READY):
        configs = list(apps.app_configs.values())
        names = [config.name for config in configs]
        ours = names.index("pipeline_inspector") + 1 if "pipeline_inspector" in names else len(names)
        for config in configs[ours:]:
            _time_once(config, "ready", _state.readies)


def watch_apps() -> None:
    """Called while our models are imported: times that of the apps after ours, and ``ready()`` of all.

    Nothing of it stays: the timing hangs on the app's config object and takes itself off when it was called.
    """
    if _state.moments:
        return
    after_ours = False
    for config in list(apps.app_configs.values()):
        if after_ours:
            _time_once(config, "import_models", _state.imports)
        after_ours = after_ours or config.name == "pipeline_inspector"
        _time_once(config, "ready", _state.readies)


def chain_loaded(
    interface: str, layers: Iterable[tuple[str, int, int]] = (), loader: Callable[..., Any] | None = None
) -> None:
    """A handler has loaded its chain; the first one counts. ``layers``: path, ns to import, ns to construct. ``loader`` is
    the function that loaded it, which has just returned: the last step of the path."""
    if _moment(CHAIN_LOADED):
        _state.interface = interface
        _state.layers = list(layers)
        code = getattr(loader, "__code__", None)
        if code is not None:
            _state.paths.setdefault(CHAIN_LOADED, []).append(
                Frame(code.co_qualname, code.co_filename, code.co_firstlineno)
            )
        _state.told = None


def first_request(interface: str) -> None:
    """The first request is in hand, on the thread that asks."""
    if _moment(FIRST_REQUEST):
        _state.interface = interface
        _state.software = software()
        _state.told = None


def _moment(name: str) -> bool:
    """Note that ``name`` is now, with the stacks that matter; False when it was before or could not be noted."""
    state = _state
    if name in state.moments:
        return False
    state.moments[name] = clock.now() - state.started
    try:
        state.paths[name] = paths.here()
        frames = stacks()
        for thread in paths.main_threads():
            state.paths[f"{name} ({thread.name})"] = paths.of(frames.get(thread.ident or 0))
    except Exception as error:
        faults.note("probes: start-up", error)
    state.told = None
    return True


def _time_once(config: AppConfig, method: str, times: dict[str, int]) -> None:
    original: Callable[..., Any] = getattr(config, method)
    if method in vars(config):
        return

    @wraps(original)
    def timed(*args: Any, **kwargs: Any) -> Any:
        vars(config).pop(method, None)
        start = clock.now()
        try:
            return original(*args, **kwargs)
        finally:
            times[config.name] = clock.now() - start
            _state.told = None

    vars(config)[method] = timed


# -- what is told -------------------------------------------------------------------------------------------------------


def software() -> Callable[[], str]:
    """The server that calls us, found now by the stacks and told when the result is called, which may read files: with
    its version where it is a package, such as ``uvicorn 0.32.0``; "" when unknown."""
    try:
        own = _files(sys._getframe(1))
        others = [file for frame in stacks().values() for file in _files(frame)]
    except Exception as error:
        faults.note("probes: server software", error)
        return str
    found = _server(own) or _server(own + others) or _by_module()
    within = found[0] not in ("", "runserver") and any("/commands/runserver.py" in file for file in others)
    return partial(_with_version, *found, within_runserver=within)


def process() -> Process:
    """What is known of this process now."""
    if _state.told is None or _state.pid != os.getpid():
        _state.told = _tell(_state)
    return _state.told


def changed_since(wall_ns: int) -> list[str]:
    """Loaded source files of the site's own that were written after ``wall_ns`` (ns since 1970), sorted by name.

    Asks the file system for each: not for the path of a request.
    """
    found: set[str] = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if type(file) is str and file.endswith(".py") and belongs_to_user(file):
            try:
                if Path(file).stat().st_mtime_ns > wall_ns:
                    found.add(file)
            except OSError:
                continue
    return sorted(found)[:CHANGED_KEPT]


def _tell(state: _State) -> Process:
    names = [*dict.fromkeys([*state.imports, *state.readies])]
    return Process(
        id=state.id,
        pid=state.pid,
        started_at=clock.iso(state.started_wall),
        interface=state.interface,
        software=state.software(),
        settings_module=str(getattr(settings, "SETTINGS_MODULE", "") or os.environ.get("DJANGO_SETTINGS_MODULE", "")),
        reloader=os.environ.get("RUN_MAIN") == "true",
        argv=_arguments(),
        python=platform.python_version(),
        django=django.get_version(),
        moments=[Stage(name, at) for name, at in state.moments.items()],
        path=dict(state.paths),
        apps=[(name, state.imports.get(name, 0), state.readies.get(name, 0)) for name in names],
        layers=state.layers,
    )


def _arguments() -> list[str]:
    redactor = Redactor(conf.current().redact)
    told: list[str] = []
    hide = False
    for argument in sys.argv[:50]:
        told.append("•••" if hide else redactor.text(argument)[:200])
        hide = argument.startswith("-") and "=" not in argument and redactor.name_is_secret(argument.lstrip("-"))
    return told


def _files(frame: FrameType | None) -> list[str]:
    found: list[str] = []
    while frame is not None and len(found) < paths.FRAMES_KEPT:
        found.append(frame.f_code.co_filename.replace("\\", "/"))
        frame = frame.f_back
    return found


def _server(files: list[str]) -> tuple[str, str] | None:
    """Name and package of the server that one of ``files`` belongs to."""
    for part, name, package in _SERVERS:
        if any(part in file for file in files):
            return name, package
    return None


def _by_module() -> tuple[str, str]:
    return next((name for name in ("uwsgi", "mod_wsgi") if name in sys.modules), ""), ""


@cache
def _with_version(name: str, package: str, *, within_runserver: bool) -> str:
    if within_runserver and name == "wsgiref":
        return "runserver"
    told = f"{name} {_version(package)}".strip() if package else name
    return f"runserver ({told})" if within_runserver else told


def _version(package: str) -> str:
    from importlib import metadata  # it brings the modules for archives and tables with it

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
