"""The proof that a change was asked for by our own page: Django's CSRF token, made and checked without its middleware.

Where Django keeps the token in the session (``CSRF_USE_SESSIONS``), which our pages do not have, a cookie of our own
and a keyed digest of it do the same.
"""

from secrets import token_urlsafe

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.utils.crypto import constant_time_compare, salted_hmac

FIELD = "csrfmiddlewaretoken"
HEADER = "HTTP_X_CSRFTOKEN"
OWN_COOKIE = "pipeline_inspector_csrf"


class _Checker(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        """The site's failure page and its security log are not for our requests."""
        return HttpResponse(reason, status=403)


_checker = _Checker(lambda request: HttpResponse())


def token(request: HttpRequest) -> str:
    """The token that forms and scripts of the page asked for by ``request`` send back."""
    if settings.CSRF_USE_SESSIONS:
        cookie = request.COOKIES.get(OWN_COOKIE) or request.META.setdefault("inspector.csrf", token_urlsafe(32))
        return _digest(cookie)
    if "CSRF_COOKIE" not in request.META:
        _checker.process_request(request)
    return get_token(request)


def set_cookie(request: HttpRequest, response: HttpResponseBase) -> None:
    """Give the browser the cookie that belongs to the token, when ``token()`` was asked for a new one."""
    if settings.CSRF_USE_SESSIONS:
        if "inspector.csrf" in request.META:
            response.set_cookie(OWN_COOKIE, request.META["inspector.csrf"], httponly=True, samesite="Strict")
    elif isinstance(response, HttpResponse):
        _checker.process_response(request, response)


def is_valid(request: HttpRequest) -> bool:
    """Did ``request`` bring a token that fits its cookie, in a header or in a form?"""
    given = request.META.get(settings.CSRF_HEADER_NAME) or request.META.get(HEADER) or _form(request).get(FIELD, "")
    if settings.CSRF_USE_SESSIONS:
        cookie = request.COOKIES.get(OWN_COOKIE, "")
        return bool(cookie) and constant_time_compare(given, _digest(cookie))
    asked = HttpRequest()
    asked.method = "POST"
    asked.COOKIES = request.COOKIES
    asked.META = {settings.CSRF_HEADER_NAME: given}
    _checker.process_request(asked)
    return _checker.process_view(asked, HttpResponse, (), {}) is None


def _form(request: HttpRequest) -> QueryDict:
    try:
        return request.POST
    except (RequestDataTooBig, TooManyFieldsSent, MultiPartParserError, RawPostDataException, UnreadablePostError):
        return QueryDict()


def _digest(cookie: str) -> str:
    return salted_hmac("pipeline_inspector.csrf", cookie, algorithm="sha256").hexdigest()
