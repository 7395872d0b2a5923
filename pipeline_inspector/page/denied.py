"""The answer to who may not look: what was seen of the client, and the one line that would let it in. No more than that.

The page stands alone, because the client may not have our style sheet either.
"""

from functools import cache
from ipaddress import ip_address
from pathlib import Path

from django.http import HttpResponse

import pipeline_inspector
from pipeline_inspector.page import responses
from pipeline_inspector.page.access import Verdict
from pipeline_inspector.page.drawing import render

_TEMPLATE = "pipeline_inspector/denied.html"


@cache
def _style() -> str:
    path = Path(pipeline_inspector.__file__).parent / "static" / "pipeline_inspector" / "denied.css"
    return path.read_text(encoding="utf-8").strip()


def line(verdict: Verdict) -> str:
    """What to write into the settings to let this client in; empty when no line would do."""
    name = verdict.host.rpartition("@")[2]
    if verdict.wrong == "host":
        host = name.partition(":")[0] if not name.startswith("[") else name.partition("]")[0] + "]"
        return f'PIPELINE_INSPECTOR = {{"ALLOWED_HOSTS": [{host[:255]!r}]}}'
    return f"INTERNAL_IPS = [{verdict.address[:64]!r}]" if verdict.address else ""


def as_page(verdict: Verdict) -> HttpResponse:
    """The refusal as a page of its own."""
    style = _style()
    context = {"verdict": verdict, "line": line(verdict), "private": _is_private(verdict.address), "style": style}
    headers = {"Content-Security-Policy": responses.policy(style=style)}
    return HttpResponse(render(_TEMPLATE, context), status=403, headers=headers)


def as_json(verdict: Verdict) -> HttpResponse:
    """The refusal as the API says it."""
    seen = f"address {verdict.address or 'unknown'}, host {verdict.host[:255]!r}"
    advice = f" To allow it, put into the settings: {line(verdict)}" if line(verdict) else ""
    return responses.error(responses.Refused(403, "not_allowed", f"Not allowed: the {verdict.wrong} ({seen}).{advice}"))


def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False
