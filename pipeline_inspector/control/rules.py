"""What is documented about the order of middleware and about what leans on what: a table, nothing computed."""

from dataclasses import dataclass

ORDERING = "https://docs.djangoproject.com/en/stable/ref/middleware/#middleware-ordering"
AUTH = "https://docs.djangoproject.com/en/stable/topics/auth/#installation"
AUTH_REMOTE = "https://docs.djangoproject.com/en/stable/howto/auth-remote-user/#configuration"
LOGIN_ONLY = (
    "https://docs.djangoproject.com/en/stable/ref/middleware/#django.contrib.auth.middleware.LoginRequiredMiddleware"
)
ADMIN_DOCS = "https://docs.djangoproject.com/en/stable/ref/contrib/admin/admindocs/#included-bookmarklets"
MESSAGES = "https://docs.djangoproject.com/en/stable/ref/contrib/messages/#enabling-messages"
CACHE = "https://docs.djangoproject.com/en/stable/topics/cache/#the-per-site-cache"
CSRF = "https://docs.djangoproject.com/en/stable/ref/settings/#csrf-use-sessions"
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
WAGTAIL_REDIRECTS = "wagtail.contrib.redirects.middleware.RedirectMiddleware"
HOSTS_REQUEST = "django_hosts.middleware.HostsRequestMiddleware"
HOSTS_RESPONSE = "django_hosts.middleware.HostsResponseMiddleware"
GUID = "django_guid.middleware.guid_middleware"
REQUEST_ID = "log_request_id.middleware.RequestIDMiddleware"
SESAME = "sesame.middleware.AuthenticationMiddleware"
OIDC = "mozilla_django_oidc.middleware.SessionRefresh"

ENCODERS = (GZIP, COMPRESSION, "compression_middleware.middleware.CompressionMiddleware")
VARYING = (SESSION, LOCALE, *ENCODERS, CORS)
"""Those that write the ``Vary`` header."""

NUMBERING = (GUID, REQUEST_ID)
"""Those that number requests for the log."""

FALLBACKS = (FLATPAGES, REDIRECTS, WAGTAIL_REDIRECTS)
"""Those that look for an answer when the site had none."""

INNERMOST = (*FALLBACKS, FETCH_CACHE, AXES, PROMETHEUS_AFTER, HOSTS_RESPONSE, MAINTENANCE, CSP, CSP_PACKAGE)
"""Those that may all stand at the inner end, in any order that no other rule speaks against."""

_LAST_RESORT = "It looks for an answer only when nothing else had one, so it belongs near the end."
_ENCODED = "On the way out it reads the page as text, and what stands further in must not have encoded it yet."
_CORS = "A layer further out that answers by itself (a redirect, a file) answers without the CORS headers."
_UNSEEN = "A layer further out that answers by itself keeps the request from it."
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
_OAUTH2_DOCS = "https://django-oauth-toolkit.readthedocs.io/en/latest/tutorial/tutorial_03.html#setup-a-provider"
_HIJACK_DOCS = "https://django-hijack.readthedocs.io/en/stable/troubleshooting/"
_IMPERSONATE_DOCS = "https://pypi.org/project/django-impersonate/"
_AUDITLOG_DOCS = "https://django-auditlog.readthedocs.io/en/latest/usage.html#actors"
_HISTORY_DOCS = (
    "https://django-simple-history.readthedocs.io/en/latest/user_tracking.html#recording-which-user-changed-a-model"
)
_AXES_DOCS = "https://django-axes.readthedocs.io/en/latest/2_installation.html"
_PROMETHEUS_DOCS = "https://github.com/django-commons/django-prometheus#quickstart"
_TENANTS_DOCS = "https://django-tenants.readthedocs.io/en/latest/install.html#basic-settings"
_MAINTENANCE_DOCS = "https://github.com/fabiocaccamo/django-maintenance-mode#installation"
_POLICY_DOCS = "https://github.com/adamchainz/django-permissions-policy#installation"
_MINIFY_DOCS = "https://github.com/adamchainz/django-minify-html#installation"
_CSP_DOCS = "https://django-csp.readthedocs.io/en/latest/nonce.html#middleware"
_WAGTAIL_DOCS = "https://docs.wagtail.org/en/stable/reference/contrib/redirects.html#installation"
_HOSTS_DOCS = "https://github.com/jazzband/django-hosts#installation"
_HOSTS_TOOLBAR_DOCS = "https://django-hosts.readthedocs.io/en/latest/faq.html"
_GUID_DOCS = "https://django-guid.readthedocs.io/en/latest/configuration.html#middleware"
_REQUEST_ID_DOCS = "https://github.com/dabapps/django-log-request-id#installation-and-usage"
_SESAME_DOCS = "https://django-sesame.readthedocs.io/en/stable/howto.html#site-wide"
_OIDC_DOCS = (
    "https://mozilla-django-oidc.readthedocs.io/en/stable/installation.html#validate-id-tokens-by-renewing-them"
)

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
    *_each(
        CONDITIONAL,
        (MINIFY, TOOLBAR, BROWSER_RELOAD),
        "It makes the ETag of the page as it goes out, so those that change the page must have done so before.",
        ORDERING,
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
    Before(AUTHENTICATION, LOGIN_REQUIRED, _USER, ORDERING, "error"),
    Before(AUTHENTICATION, ADMINDOCS, _USER, ADMIN_DOCS, "error"),
    *(Before(AUTHENTICATION, path, _USER, AUTH_REMOTE, "error") for path in (REMOTE_USER, PERSISTENT_REMOTE_USER)),
    *_each(
        BROKEN_LINK_EMAILS,
        (LOCALE, FLATPAGES, REDIRECTS),
        "It reports a 404 only when it sees one, so it must stand outside of those that turn a 404 into a page.",
        BROKEN_LINKS,
    ),
    *(
        Before(policy, inner, "It puts a nonce into the page, and the header must be written after that.", link)
        for policy, link in ((CSP, ORDERING), (CSP_PACKAGE, _CSP_DOCS))
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
    *_each(MINIFY, (TOOLBAR, BROWSER_RELOAD), "It minifies the whole page, so others add to it before.", _MINIFY_DOCS),
    *_each(SILK, (COMMON, FETCH_CACHE), _UNSEEN, _SILK_DOCS),
    *_each(
        TOOLBAR,
        (SESSION, COMMON, CSRF_VIEW, AUTHENTICATION, MESSAGE),
        "It measures and shows only what lies further in, so it belongs as early as it can stand.",
        _TOOLBAR_DOCS,
    ),
    *(
        Before(path, ALLAUTH, "It works with session, user and messages.", _ALLAUTH_DOCS, "info")
        for path in (SESSION, AUTHENTICATION, MESSAGE)
    ),
    Before(AUTHENTICATION, OTP, "It wraps the user that AuthenticationMiddleware found.", _OTP_DOCS, "error"),
    Before(
        AUTHENTICATION,
        OAUTH2,
        "It looks at the token only when the session has no user, so it comes after.",
        _OAUTH2_DOCS,
    ),
    Before(AUTHENTICATION, HIJACK, _USER, _HIJACK_DOCS, "error"),
    *_each(HIJACK, (REMOTE_USER, PERSISTENT_REMOTE_USER), "A hijacked user must not be exchanged again.", _HIJACK_DOCS),
    Before(
        AUTHENTICATION,
        SESAME,
        "It sets the user whom a token in the address names, after that of the session.",
        _SESAME_DOCS,
    ),
    *_behind((SESSION, AUTHENTICATION), OIDC, "It renews the log-in of the user of the session.", _OIDC_DOCS),
    Before(HOSTS_REQUEST, TOOLBAR, "The toolbar's own addresses need the host's URLconf.", _HOSTS_TOOLBAR_DOCS),
    Before(HOSTS_REQUEST, HOSTS_RESPONSE, "The two choose the host's URLconf on both ways.", _HOSTS_DOCS, "error"),
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
        beside=(PROMETHEUS_BEFORE, TENANTS, HOSTS_REQUEST, *NUMBERING, UPDATE_CACHE, CORS, TOOLBAR, SILK),
        severity="info",
    ),
    End(
        TENANTS,
        "first",
        "Everything behind it runs in the tenant's schema.",
        _TENANTS_DOCS,
        (PROMETHEUS_BEFORE, HOSTS_REQUEST, *NUMBERING),
    ),
    End(
        HOSTS_REQUEST,
        "first",
        "Everything behind it uses the URLconf of the host.",
        _HOSTS_DOCS,
        (PROMETHEUS_BEFORE, TENANTS, *NUMBERING),
    ),
    End(PROMETHEUS_BEFORE, "first", "It counts and times only what lies behind it.", _PROMETHEUS_DOCS, NUMBERING),
    *(
        End(path, "first", "Lines logged further out lack the number of the request.", link, beside, "info")
        for path, link, beside in (
            (GUID, _GUID_DOCS, (PROMETHEUS_BEFORE, HOSTS_REQUEST, TENANTS, REQUEST_ID)),
            (REQUEST_ID, _REQUEST_ID_DOCS, (PROMETHEUS_BEFORE, HOSTS_REQUEST, TENANTS, GUID)),
        )
    ),
    End(PROMETHEUS_AFTER, "last", "What stands behind it is taken for the view.", _PROMETHEUS_DOCS, INNERMOST),
    End(AXES, "last", "It turns the lock-out of the view into an answer, before others see it.", _AXES_DOCS, INNERMOST),
    End(
        HOSTS_RESPONSE, "last", "It chooses the host's URLconf before others see the response.", _HOSTS_DOCS, INNERMOST
    ),
    End(
        MAINTENANCE,
        "last",
        "There it knows the user whom it may let pass. Further out it spares the layers behind it their work.",
        _MAINTENANCE_DOCS,
        INNERMOST,
        "info",
    ),
    End(FETCH_CACHE, "last", "Layers behind it do not run for a stored page.", ORDERING, INNERMOST, "info"),
    *(End(path, "last", _LAST_RESORT, ORDERING, INNERMOST, "info") for path in (FLATPAGES, REDIRECTS)),
    End(WAGTAIL_REDIRECTS, "last", _LAST_RESORT, _WAGTAIL_DOCS, INNERMOST, "info"),
)

NEEDS: tuple[Needs, ...] = (
    Needs(AUTHENTICATION, SESSION, "every request fails with ImproperlyConfigured", AUTH),
    Needs(MESSAGE, SESSION, "messages kept in the session fail; those in a cookie work", MESSAGES, optional=True),
    Needs(CSRF_VIEW, SESSION, "CSRF_USE_SESSIONS has no place for the token", CSRF, session_csrf=True),
    Needs(LOGIN_REQUIRED, AUTHENTICATION, "there is no request.user to look at, and requests fail", LOGIN_ONLY),
    Needs(REMOTE_USER, AUTHENTICATION, "every request fails with ImproperlyConfigured", AUTH_REMOTE),
    Needs(PERSISTENT_REMOTE_USER, AUTHENTICATION, "every request fails with ImproperlyConfigured", AUTH_REMOTE),
    Needs(ADMINDOCS, AUTHENTICATION, "requests fail with ImproperlyConfigured", ADMIN_DOCS),
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
    Needs(OIDC, SESSION, "it finds no session, and requests fail", _OIDC_DOCS),
    Needs(OIDC, AUTHENTICATION, "there is no request.user to look at, and requests fail", _OIDC_DOCS),
    Needs(HOSTS_REQUEST, HOSTS_RESPONSE, "layers see another URLconf on the way out", _HOSTS_DOCS),
    Needs(HOSTS_RESPONSE, HOSTS_REQUEST, "no host is chosen on the way in", _HOSTS_DOCS),
)
