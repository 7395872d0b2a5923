"""Who may look at our pages, and who may change something. Both ask only what the connection itself shows.

A client may look when its address is loopback or in ``INTERNAL_IPS`` (or ``ACCESS`` says yes), and it asked for a host
that a stranger's web page cannot stand behind: a loopback name, or one written out in ``ALLOWED_HOSTS`` (Django's or
our own; a wildcard is not written out). Forwarded headers are never read.
"""

import hmac
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.utils.module_loading import import_string

from pipeline_inspector import conf, faults
from pipeline_inspector.page import csrf
from pipeline_inspector.page.responses import Refused
from pipeline_inspector.store.base import Store

Scope = Mapping[str, Any]
TOKEN_HEADER = "X-Inspector-Token"  # noqa: S105 - the name of a header

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Verdict:
    """May the client look? ``wrong`` names what stands against it; ``address`` and ``host`` are what was seen."""

    ok: bool
    address: str
    host: str
    wrong: Literal["", "address", "host"] = ""


def may_look(source: HttpRequest | Scope) -> Verdict:
    """The verdict on a request, or on the scope of a connection. Never raises."""
    address, host = address_of(source), host_of(source)
    name = _name(host)
    if not (name and (_is_loopback_name(name) or name in _hosts_written_out())):
        return Verdict(False, address, host, "host")
    if not (_is_loopback(address) or _is_internal(address) or _access_says_yes(source)):
        return Verdict(False, address, host, "address")
    return Verdict(True, address, host)


def check_may_act(request: HttpRequest, store: Store) -> None:
    """Return when ``request`` may change something; else raise ``Refused`` (403).

    An ``Origin``, when sent, must be that of the page itself; besides, the CSRF token or the API token is needed.
    """
    origin = request.META.get("HTTP_ORIGIN")
    if origin is not None and not is_same_origin(origin, host_of(request)):
        raise Refused(403, "foreign_origin", f"The request comes from {origin[:200]!r}, another site than this page's.")
    given = request.META.get("HTTP_X_INSPECTOR_TOKEN")
    if given is not None:
        if not is_token(given, store):
            raise Refused(403, "wrong_token", f"{TOKEN_HEADER} is not the one that 'manage.py pipeline token' prints.")
    elif not csrf.is_valid(request):
        raise Refused(
            403,
            "no_token",
            "A change needs Django's CSRF token (cookie and X-CSRFToken header) or the header "
            f"{TOKEN_HEADER} with what 'manage.py pipeline token' prints.",
        )


def may_listen(scope: Scope, store: Callable[[], Store]) -> bool:
    """May this socket be opened? A browser says where its page is from; a program shows the API token instead."""
    origins = _header(scope, b"origin")
    if origins:
        return len(origins) == 1 and is_same_origin(origins[0], host_of(scope))
    tokens = _header(scope, TOKEN_HEADER.lower().encode())
    return len(tokens) == 1 and is_token(tokens[0], store())


def is_token(given: str, store: Store) -> bool:
    """Is ``given`` the API token of this project?"""
    return hmac.compare_digest(given.encode("utf-8", "replace"), store.token().encode())


def is_same_origin(origin: str, host: str) -> bool:
    """Does ``origin`` (``scheme://host[:port]``) name the ``host`` that the request was sent to?"""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in _PORTS or parts.path or parts.query or parts.fragment:
        return False
    seen, own = _HOST.fullmatch(parts.netloc), _HOST.fullmatch(host)
    if seen is None or own is None:
        return False
    port = _PORTS[parts.scheme]
    return _name(parts.netloc) == _name(host) and (seen["port"] or port) == (own["port"] or port)


def address_of(source: HttpRequest | Scope) -> str:
    """The address of the client's end of the connection; empty when it has none (a Unix socket)."""
    if isinstance(source, HttpRequest):
        return str(source.META.get("REMOTE_ADDR") or "")
    client = source.get("client")
    return str(client[0] or "") if client else ""


def host_of(source: HttpRequest | Scope) -> str:
    """The ``Host`` asked for, port and all, as it was sent; the server's own name when none was sent."""
    if isinstance(source, HttpRequest):
        sent = source.META.get("HTTP_HOST")
        return str(source.META.get("SERVER_NAME", "") if sent is None else sent)
    sent_hosts = _header(source, b"host")
    if sent_hosts:
        return ",".join(sent_hosts)
    server = source.get("server")
    return str(server[0]) if server else ""


def _header(scope: Scope, name: bytes) -> list[str]:
    return [bytes(value).decode("latin-1") for key, value in scope.get("headers", ()) if bytes(key).lower() == name]


def _name(host: str) -> str:
    match = _HOST.fullmatch(host)
    return match["name"].lower().removesuffix(".") if match else ""


def _is_loopback_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name.strip("[]"))


def _hosts_written_out() -> set[str]:
    listed = [*conf.current().allowed_hosts, *settings.ALLOWED_HOSTS]
    return {name.lower().removesuffix(".") for name in listed if name != "*" and not name.startswith(".")}


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return bool((getattr(found, "ipv4_mapped", None) or found).is_loopback)


def _is_internal(address: str) -> bool:
    if not address:
        return False
    plain = address.removeprefix("::ffff:")
    return address in settings.INTERNAL_IPS or plain in settings.INTERNAL_IPS


def _access_says_yes(source: HttpRequest | Scope) -> bool:
    dotted = conf.current().access
    if dotted is None:
        return False
    try:
        answer = import_string(dotted)(source)
    except Exception as error:
        faults.note("page: ACCESS", error)
        return False
    if inspect.iscoroutine(answer):
        answer.close()
    if not isinstance(answer, bool):
        faults.note("page: ACCESS", f"{dotted} returned {type(answer).__name__}; only True opens the page.")
    return answer is True
