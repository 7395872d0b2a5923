"""What is documented about the order of middleware and about what leans on what: a table, nothing computed."""

from dataclasses import dataclass

ORDERING = "https://docs.djangoproject.com/en/stable/ref/middleware/#middleware-ordering"
SESSIONS = "https://docs.djangoproject.com/en/stable/topics/http/sessions/"
AUTH = "https://docs.djangoproject.com/en/stable/topics/auth/"
MESSAGES = "https://docs.djangoproject.com/en/stable/ref/contrib/messages/"
CACHE = "https://docs.djangoproject.com/en/stable/topics/cache/#the-per-site-cache"
CSRF = "https://docs.djangoproject.com/en/stable/ref/csrf/"
BROKEN_LINKS = "https://docs.djangoproject.com/en/stable/howto/error-reporting/#errors"

SECURITY = "django.middleware.security.SecurityMiddleware"
UPDATE_CACHE = "django.middleware.cache.UpdateCacheMiddleware"
FETCH_CACHE = "django.middleware.cache.FetchFromCacheMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
BROKEN_LINK_EMAILS = "django.middleware.common.BrokenLinkEmailsMiddleware"
CSRF_VIEW = "django.middleware.csrf.CsrfViewMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
REMOTE_USER = "django.contrib.auth.middleware.RemoteUserMiddleware"
PERSISTENT_REMOTE_USER = "django.contrib.auth.middleware.PersistentRemoteUserMiddleware"
MESSAGE = "django.contrib.messages.middleware.MessageMiddleware"
FLATPAGES = "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware"
REDIRECTS = "django.contrib.redirects.middleware.RedirectFallbackMiddleware"
ADMINDOCS = "django.contrib.admindocs.middleware.XViewMiddleware"
CSP = "django.middleware.csp.ContentSecurityPolicyMiddleware"

WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"
CORS = "corsheaders.middleware.CorsMiddleware"
TOOLBAR = "debug_toolbar.middleware.DebugToolbarMiddleware"
BROWSER_RELOAD = "django_browser_reload.middleware.BrowserReloadMiddleware"
SILK = "silk.middleware.SilkyMiddleware"
ALLAUTH = "allauth.account.middleware.AccountMiddleware"
HISTORY = "simple_history.middleware.HistoryRequestMiddleware"
AUDITLOG = "auditlog.middleware.AuditlogMiddleware"
OTP = "django_otp.middleware.OTPMiddleware"
OAUTH2 = "oauth2_provider.middleware.OAuth2TokenMiddleware"
HIJACK = "hijack.middleware.HijackUserMiddleware"
IMPERSONATE = "impersonate.middleware.ImpersonateMiddleware"
AXES = "axes.middleware.AxesMiddleware"
PROMETHEUS_BEFORE = "django_prometheus.middleware.PrometheusBeforeMiddleware"
PROMETHEUS_AFTER = "django_prometheus.middleware.PrometheusAfterMiddleware"
TENANTS = "django_tenants.middleware.main.TenantMainMiddleware"
MAINTENANCE = "maintenance_mode.middleware.MaintenanceModeMiddleware"
PERMISSIONS_POLICY = "django_permissions_policy.PermissionsPolicyMiddleware"
MINIFY = "django_minify_html.middleware.MinifyHtmlMiddleware"
COMPRESSION = "django_http_compression.middleware.HttpCompressionMiddleware"
CSP_PACKAGE = "csp.middleware.CSPMiddleware"

ENCODERS = (GZIP, COMPRESSION, "compression_middleware.middleware.CompressionMiddleware")
VARYING = (SESSION, LOCALE, *ENCODERS, CORS)
"""Those that write the ``Vary`` header."""

_LAST_RESORT = "It looks for an answer only when nothing else had one, so it belongs near the end."
_ENCODED = "On the way out it reads the page as text, and what stands further in must not have encoded it yet."
_CORS = "A layer further out that answers by itself (a redirect, a file) answers without the CORS headers."
_USER = "It reads request.user, which AuthenticationMiddleware sets on the way in."


@dataclass(frozen=True)
class Before:
    """``outer`` belongs further out than ``inner`` where both are listed. ``session_csrf``: only with
    ``CSRF_USE_SESSIONS``."""

    outer: str
    inner: str
    reason: str
    link: str
    severity: str = "warning"
    session_csrf: bool = False


@dataclass(frozen=True)
class End:
    """``path`` belongs at one end of the chain: ``first`` or ``last``. ``beside`` may stand further out (or in)."""

    path: str
    end: str
    reason: str
    link: str
    beside: tuple[str, ...] = ()
    severity: str = "warning"


@dataclass(frozen=True)
class Needs:
    """``path`` does not work without ``needed``; ``effect`` says what happens then. ``optional``: only in some setups."""

    path: str
    needed: str
    effect: str
    link: str
    optional: bool = False
    session_csrf: bool = False


def _each(outer: str, inner: tuple[str, ...], reason: str, link: str) -> tuple[Before, ...]:
    return tuple(Before(outer, path, reason, link) for path in inner)


def _behind(outer: tuple[str, ...], inner: str, reason: str, link: str) -> tuple[Before, ...]:
    return tuple(Before(path, inner, reason, link) for path in outer)


_ALLAUTH_DOCS = "https://docs.allauth.org/en/latest/installation/quickstart.html"
_TOOLBAR_DOCS = "https://django-debug-toolbar.readthedocs.io/en/latest/installation.html#add-the-middleware"
_RELOAD_DOCS = "https://github.com/adamchainz/django-browser-reload#installation"
_SILK_DOCS = "https://github.com/jazzband/django-silk#installation"
_CORS_DOCS = "https://github.com/adamchainz/django-cors-headers#setup"
_WHITENOISE_DOCS = "https://whitenoise.readthedocs.io/en/stable/django.html#enable-whitenoise"
_OTP_DOCS = "https://django-otp-official.readthedocs.io/en/stable/overview.html#installation"
_OAUTH2_DOCS = "https://django-oauth-toolkit.readthedocs.io/en/latest/oauth2_provider.html"
_HIJACK_DOCS = "https://django-hijack.readthedocs.io/en/stable/"
_IMPERSONATE_DOCS = "https://code.netlandish.com/~petersanchez/django-impersonate/"
_AUDITLOG_DOCS = "https://django-auditlog.readthedocs.io/en/latest/usage.html"
_HISTORY_DOCS = "https://django-simple-history.readthedocs.io/en/latest/user_tracking.html"
_AXES_DOCS = "https://django-axes.readthedocs.io/en/latest/2_installation.html"
_PROMETHEUS_DOCS = "https://github.com/django-commons/django-prometheus#quickstart"
_TENANTS_DOCS = "https://django-tenants.readthedocs.io/en/latest/install.html#basic-settings"
_MAINTENANCE_DOCS = "https://github.com/fabiocaccamo/django-maintenance-mode#installation"
_POLICY_DOCS = "https://github.com/adamchainz/django-permissions-policy#installation"
_MINIFY_DOCS = "https://github.com/adamchainz/django-minify-html#installation"

ORDER: tuple[Before, ...] = (
    *_each(
        UPDATE_CACHE,
        VARYING,
        "On the way out it stores the response, and it can only tell pages apart by what Vary says when it sees it.",
        ORDERING,
    ),
    *_behind(
        VARYING,
        FETCH_CACHE,
        "It picks the stored page by the values that Vary names, so those that write Vary must have come first.",
        ORDERING,
    ),
    Before(UPDATE_CACHE, FETCH_CACHE, "The two are one cache: the outer stores, the inner looks up.", CACHE, "error"),
    *(
        Before(
            path, CONDITIONAL, "The ETag is to be computed of the page itself, not of its compressed form.", ORDERING
        )
        for path in ENCODERS
    ),
    Before(SESSION, LOCALE, "The language may be kept in the session.", ORDERING),
    Before(LOCALE, COMMON, "The redirects of CommonMiddleware need the language that was chosen.", ORDERING),
    Before(SESSION, COMMON, "With CSRF_USE_SESSIONS the redirect may need the session.", ORDERING, session_csrf=True),
    Before(SESSION, CSRF_VIEW, "CSRF_USE_SESSIONS keeps the token there.", ORDERING, "error", session_csrf=True),
    *_each(
        CSRF_VIEW,
        (REMOTE_USER, PERSISTENT_REMOTE_USER),
        "Logging in changes the CSRF token, so the token must have been read before.",
        ORDERING,
    ),
    Before(SESSION, AUTHENTICATION, "The user is found by the session.", ORDERING, "error"),
    Before(SESSION, MESSAGE, "Messages may be kept in the session.", ORDERING, "error"),
    *(
        Before(AUTHENTICATION, path, _USER, ORDERING, "error")
        for path in (LOGIN_REQUIRED, REMOTE_USER, PERSISTENT_REMOTE_USER, ADMINDOCS)
    ),
    *_each(
        BROKEN_LINK_EMAILS,
        (LOCALE, FLATPAGES, REDIRECTS),
        "It reports a 404 only when it sees one, so it must stand outside of those that turn a 404 into a page.",
        BROKEN_LINKS,
    ),
    *(
        Before(policy, inner, "It puts a nonce into the page, and the header must be written after that.", ORDERING)
        for policy in (CSP, CSP_PACKAGE)
        for inner in (TOOLBAR, BROWSER_RELOAD)
    ),
    Before(SECURITY, WHITENOISE, "Files get the security headers and the redirect to HTTPS as well.", _WHITENOISE_DOCS),
    *_each(
        WHITENOISE,
        (SESSION, LOCALE, COMMON, CSRF_VIEW, AUTHENTICATION, MESSAGE, *ENCODERS),
        "It answers for files by itself; everything further out runs for every file, in vain.",
        _WHITENOISE_DOCS,
    ),
    *_each(CORS, (COMMON, WHITENOISE), _CORS, _CORS_DOCS),
    *_behind(ENCODERS, TOOLBAR, _ENCODED, _TOOLBAR_DOCS),
    *_behind(ENCODERS, BROWSER_RELOAD, _ENCODED, _RELOAD_DOCS),
    *_behind(ENCODERS, MINIFY, _ENCODED, _MINIFY_DOCS),
    *_behind(ENCODERS, SILK, _ENCODED, _SILK_DOCS),
    *_each(
        TOOLBAR,
        (SESSION, COMMON, CSRF_VIEW, AUTHENTICATION, MESSAGE),
        "It measures and shows only what lies further in, so it belongs as early as it can stand.",
        _TOOLBAR_DOCS,
    ),
    *_behind((SESSION, AUTHENTICATION, MESSAGE), ALLAUTH, "It works with session, user and messages.", _ALLAUTH_DOCS),
    Before(AUTHENTICATION, OTP, "It wraps the user that AuthenticationMiddleware found.", _OTP_DOCS, "error"),
    Before(AUTHENTICATION, OAUTH2, "It must have the last word on the user of a request with a token.", _OAUTH2_DOCS),
    Before(AUTHENTICATION, HIJACK, _USER, _HIJACK_DOCS, "error"),
    Before(AUTHENTICATION, IMPERSONATE, _USER, _IMPERSONATE_DOCS, "error"),
    Before(AUTHENTICATION, AUDITLOG, _USER, _AUDITLOG_DOCS),
    Before(SECURITY, PERMISSIONS_POLICY, "It is meant to stand right behind SecurityMiddleware.", _POLICY_DOCS, "info"),
    Before(PROMETHEUS_BEFORE, PROMETHEUS_AFTER, "The two measure what lies between them.", _PROMETHEUS_DOCS, "error"),
)

ENDS: tuple[End, ...] = (
    End(
        SECURITY,
        "first",
        "A redirect to HTTPS is cheapest when nothing else has run before it.",
        ORDERING,
        beside=(PROMETHEUS_BEFORE, TENANTS, UPDATE_CACHE, CORS, TOOLBAR, SILK),
        severity="info",
    ),
    End(TENANTS, "first", "Everything behind it runs in the tenant's schema.", _TENANTS_DOCS, (PROMETHEUS_BEFORE,)),
    End(PROMETHEUS_BEFORE, "first", "It counts and times only what lies behind it.", _PROMETHEUS_DOCS),
    End(PROMETHEUS_AFTER, "last", "What stands behind it is taken for the view.", _PROMETHEUS_DOCS, (AXES,)),
    End(
        AXES,
        "last",
        "It turns the lock-out of the view into an answer, before others see it.",
        _AXES_DOCS,
        (FETCH_CACHE, PROMETHEUS_AFTER, MAINTENANCE),
    ),
    End(
        MAINTENANCE,
        "last",
        "It asks for the user and the language before it answers.",
        _MAINTENANCE_DOCS,
        (AXES, PROMETHEUS_AFTER),
    ),
    End(
        FETCH_CACHE,
        "last",
        "Layers behind it do not run for a stored page.",
        ORDERING,
        (AXES, PROMETHEUS_AFTER, FLATPAGES, REDIRECTS, CSP, MAINTENANCE),
        "info",
    ),
    End(
        FLATPAGES,
        "last",
        _LAST_RESORT,
        ORDERING,
        (REDIRECTS, AXES, PROMETHEUS_AFTER, CSP, FETCH_CACHE, MAINTENANCE),
        "info",
    ),
    End(
        REDIRECTS,
        "last",
        _LAST_RESORT,
        ORDERING,
        (FLATPAGES, AXES, PROMETHEUS_AFTER, CSP, FETCH_CACHE, MAINTENANCE),
        "info",
    ),
)

NEEDS: tuple[Needs, ...] = (
    Needs(AUTHENTICATION, SESSION, "every request fails with ImproperlyConfigured", AUTH),
    Needs(MESSAGE, SESSION, "messages kept in the session fail; those in a cookie work", MESSAGES, optional=True),
    Needs(CSRF_VIEW, SESSION, "CSRF_USE_SESSIONS has no place for the token", CSRF, session_csrf=True),
    Needs(LOGIN_REQUIRED, AUTHENTICATION, "there is no request.user to look at, and requests fail", AUTH),
    Needs(REMOTE_USER, AUTHENTICATION, "every request fails with ImproperlyConfigured", AUTH),
    Needs(PERSISTENT_REMOTE_USER, AUTHENTICATION, "every request fails with ImproperlyConfigured", AUTH),
    Needs(ADMINDOCS, AUTHENTICATION, "requests of the documentation fail with ImproperlyConfigured", AUTH),
    Needs(UPDATE_CACHE, FETCH_CACHE, "pages are stored and never used", CACHE),
    Needs(FETCH_CACHE, UPDATE_CACHE, "pages are looked up and never stored", CACHE),
    Needs(ALLAUTH, AUTHENTICATION, "its views find no request.user", _ALLAUTH_DOCS),
    Needs(OTP, AUTHENTICATION, "there is no request.user to wrap, and requests fail", _OTP_DOCS),
    Needs(HISTORY, AUTHENTICATION, "history is written without its user", _HISTORY_DOCS),
    Needs(AUDITLOG, AUTHENTICATION, "the log is written without its user", _AUDITLOG_DOCS),
    Needs(HIJACK, AUTHENTICATION, "there is no request.user to look at, and requests fail", _HIJACK_DOCS),
    Needs(IMPERSONATE, AUTHENTICATION, "there is no request.user to replace, and requests fail", _IMPERSONATE_DOCS),
    Needs(PROMETHEUS_BEFORE, PROMETHEUS_AFTER, "views are not measured", _PROMETHEUS_DOCS),
    Needs(PROMETHEUS_AFTER, PROMETHEUS_BEFORE, "whole requests are not measured", _PROMETHEUS_DOCS),
    Needs(AXES, AUTHENTICATION, "log-ins are counted without the session of the user", _AXES_DOCS, optional=True),
)
