"""What the developer's hand may change: a layer's switch, all switches, the records. Each asks first who may act.

The same steps serve the page's buttons, which get back a piece of the page, and the API, which gets back JSON.
"""

from secrets import token_urlsafe

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from pipeline_inspector.control import toggles
from pipeline_inspector.page import access, chain, fragments, problems, tail
from pipeline_inspector.page.responses import Refused, by_method
from pipeline_inspector.page.source import reader
from pipeline_inspector.reader import Reader
from pipeline_inspector.records import RequestRecord


def switch(request: HttpRequest, source: Reader, layer: str, *, enabled: bool, scope: chain.Who) -> str | None:
    """Turn the layer meant by ``layer`` on or off for the next requests: of everyone, or of this browser alone.

    Returns the browser's token, a new one when it had none and asked for itself; give it to ``remember()``. Raises
    ``Refused``.
    """
    access.check_may_act(request, source.store)
    layer_id = chain.find_layer(source, layer)
    browser = chain.browser_of(request)
    if scope == "me":
        browser = browser or token_urlsafe(24)
        toggles.switch(source.store, layer_id, enabled=enabled, browser=browser)
    else:
        toggles.switch(source.store, layer_id, enabled=enabled)
    return browser


def remember(request: HttpRequest, response: HttpResponseBase, browser: str | None) -> HttpResponseBase:
    """Let the browser carry its token, so that the site's own requests from it are known."""
    if browser and browser != chain.browser_of(request):
        response.set_cookie(toggles.COOKIE, browser, httponly=True, samesite="Lax", path="/")
    return response


def reset(request: HttpRequest, source: Reader) -> None:
    """Everything on again, for everyone. Raises ``Refused``."""
    access.check_may_act(request, source.store)
    toggles.reset(source.store)


def clear(request: HttpRequest, source: Reader) -> None:
    """Forget all records, and the failures of our own. Raises ``Refused``."""
    access.check_may_act(request, source.store)
    source.store.clear()
    source.forget()
    tail.forget()
    problems.dismiss(source.store)


def _press_switch(request: HttpRequest, layer: str) -> HttpResponseBase:
    source = reader()
    access.check_may_act(request, source.store)
    enabled, scope = request.POST.get("enabled", ""), request.POST.get("scope", "everyone")
    if enabled not in ("true", "false") or scope not in ("everyone", "me"):
        raise Refused(400, "bad_form", "enabled must be true or false, and scope everyone or me.")
    who: chain.Who = "me" if scope == "me" else "everyone"
    browser = switch(request, source, layer, enabled=enabled == "true", scope=who)
    drawn = chain.drawn(request, source, _chosen(request, source), browser=browser, scope=who)
    return remember(request, HttpResponse(drawn), browser)


def _press_reset(request: HttpRequest) -> HttpResponseBase:
    source = reader()
    reset(request, source)
    return HttpResponse(chain.drawn(request, source, _chosen(request, source)))


def _chosen(request: HttpRequest, source: Reader) -> RequestRecord | None:
    """The request whose times stand in the chain, as the form tells."""
    record_id = request.POST.get("record", "")
    return source.record(record_id) if 0 < len(record_id) <= 100 else None


def _press_clear(request: HttpRequest) -> HttpResponseBase:
    source = reader()
    clear(request, source)
    return HttpResponse(fragments.problems(problems.told(source), oob=True))


switch_button = by_method(POST=_press_switch)
reset_button = by_method(POST=_press_reset)
clear_button = by_method(POST=_press_clear)
