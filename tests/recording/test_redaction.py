"""No secret survives, nothing harmless goes, nothing lazy is looked at, and no input makes it raise."""

import datetime as dt
import decimal
import json
import re
import string
import uuid
from typing import Any

import msgspec
import pytest
from django.test import override_settings
from django.utils.functional import SimpleLazyObject, lazystr
from django.utils.safestring import SafeString
from django.views.debug import SafeExceptionReporterFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_inspector.recording.redaction import (
    HEADER_KEPT,
    ITEMS_KEPT,
    MASK,
    TEXT_KEPT,
    VALUE_KEPT,
    Redactor,
)

redactor = Redactor(["licen[cs]e"])

SECRET_NAMES = [
    "password", "new_password1", "passwd", "pwd", "csrfmiddlewaretoken", "X-CSRFToken", "token", "access_token", "apiKey",
    "api-key", "api_key", "secret", "client_secret", "sessionid", "session_key", "Authorization", "signature", "sig",
    "credentials", "credit_card", "card", "card_number", "cvv", "iban", "PIN", "otp", "jwt", "auth", "key", "sid", "licence",
]  # fmt: skip
HARMLESS_NAMES = [
    "author", "author_id", "keyword", "monkey", "discard", "page", "name", "passenger", "compass", "shopping",
    "wildcard", "tokenize", "spin", "user", "assign", "panel", "q", "sort", "cardinal",
]  # fmt: skip

# A planted secret: no word of it could come from anywhere else.
planted = st.text(string.ascii_letters + string.digits + "!#$%*+-./;<>?@^_|~", min_size=8, max_size=40).map(
    lambda text: f"Zq7{text}"
)
plain_planted = st.text(string.ascii_letters + string.digits, min_size=8, max_size=40).map(lambda text: f"Zq7{text}")
unhurried = settings(deadline=None, max_examples=200)
secret_name = st.sampled_from(SECRET_NAMES)
noise = st.text(max_size=60)
wild = st.one_of(
    st.text(),
    st.binary(),
    st.text(st.characters(codec=None, categories=["Cs", "Cc", "Lu", "Nd", "Po", "Sm"])),
    st.integers(),
    st.none(),
    st.floats(),
)


def encodable(told: object) -> bool:
    """Can it be stored and sent?"""
    msgspec.json.encode(told)
    return True


# -- names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets_are_known(name: str) -> None:
    assert redactor.name_is_secret(name)
    assert redactor.name_is_secret(name.upper())
    assert redactor.name_is_secret(f"user[{name}]")


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_harmless_names_are_left_alone(name: str) -> None:
    assert not redactor.name_is_secret(name)


def test_the_sites_own_patterns_are_added() -> None:
    assert not Redactor().name_is_secret("shoe_size")
    assert Redactor(["shoe.?size"]).name_is_secret("Shoe_Size")
    assert Redactor(["(broken"]).name_is_secret("a (broken one")


def test_names_may_be_added_for_one_request() -> None:
    extended = redactor.also(["Shoe"])
    assert extended.query_string("shoe=43&licence=1") == f"shoe={MASK}&licence={MASK}"
    assert not redactor.name_is_secret("shoe")


class OwnFilter(SafeExceptionReporterFilter):
    """A filter of the site's own."""

    hidden_settings = re.compile("SHOE", re.IGNORECASE)


class FailingFilter(SafeExceptionReporterFilter):
    """A filter with a mistake in it."""

    def cleanse_setting(self, key: str, value: Any) -> Any:
        raise RuntimeError(key)


def test_the_sites_exception_filter_is_asked() -> None:
    assert not redactor.name_is_secret("shoe")
    with override_settings(DEFAULT_EXCEPTION_REPORTER_FILTER=f"{__name__}.OwnFilter"):
        own = Redactor()
    assert own.name_is_secret("shoe")
    assert own.header("X-Shoe", "43") == MASK
    assert own.name_is_secret("password")


def test_a_filter_that_fails_shows_nothing() -> None:
    with override_settings(DEFAULT_EXCEPTION_REPORTER_FILTER=f"{__name__}.FailingFilter"):
        assert Redactor().header("X-Shoe", "43") == MASK


def test_a_filter_that_cannot_be_made_leaves_the_built_in_names() -> None:
    with override_settings(DEFAULT_EXCEPTION_REPORTER_FILTER="no.such.Filter"):
        assert Redactor().header("X-Shoe", "43") == "43"
        assert Redactor().header("X-Api-Key", "43") == MASK


def test_asking_the_filter_does_not_settle_which_one_the_site_gets() -> None:
    from django.views import debug

    debug.get_default_exception_reporter_filter.cache_clear()
    Redactor().header("X-Shoe", "43")
    assert debug.get_default_exception_reporter_filter.cache_info().currsize == 0


# -- headers and cookies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Cookie", "a=b; sessionid=xyz; flag; empty=", f"a={MASK}; sessionid={MASK}; {MASK}; empty="),
        ("Set-Cookie", "sessionid=xyz; Path=/; HttpOnly", f"sessionid={MASK}; Path=/; HttpOnly"),
        ("Authorization", "Bearer abc", f"Bearer {MASK}"),
        ("Authorization", "abc", MASK),
        ("Proxy-Authorization", "Basic dTpw", f"Basic {MASK}"),
        ("X-Api-Key", "abc", MASK),
        ("X-Api-Version", "2", MASK),
        ("X-CSRFToken", "", ""),
        ("Referer", "https://u:p@h/x?token=1&a=2#id_token=3", f"https://{MASK}@h/x?token={MASK}&a=2#id_token={MASK}"),
        ("Location", "/next/?page=2", "/next/?page=2"),
        ("Accept", "text/html;q=0.9, */*", "text/html;q=0.9, */*"),
        ("Host", "localhost:8000", "localhost:8000"),
        ("Link", "<https://h/a?key=1>; rel=preload", f"<https://h/a?key={MASK}"),
    ],
)
def test_headers_are_told_without_their_secrets(name: str, value: str, told: str) -> None:
    assert redactor.header(name, value) == told
    assert redactor.header(name, value) == told


def test_the_value_of_a_cookie_is_never_told() -> None:
    assert redactor.cookie("theme", "dark") == MASK
    assert redactor.cookie("theme", "") == ""


@unhurried
@given(name=secret_name.filter(lambda name: name.isascii()), secret=planted)
def test_no_secret_survives_in_a_header(name: str, secret: str) -> None:
    assert secret not in redactor.header(name, secret)
    assert secret not in redactor.header("Cookie", f"a={secret}; b={secret}; {secret.replace(';', '')}")
    assert secret not in redactor.header("Authorization", f"Bearer {secret}")
    assert secret not in redactor.header("Authorization", f"{secret} {secret}".replace(secret + " ", "Digest "))
    assert secret not in redactor.header("Set-Cookie", f"{name}={secret.replace(';', '')}; Path=/")
    assert secret not in redactor.header("X-Anything", f"see {name}={secret} there")


# -- addresses ------------------------------------------------------------------------------------------------------------


def test_a_query_string_keeps_what_is_harmless() -> None:
    assert redactor.query_string("a=1&b&c=%20x&author=jane") == "a=1&b&c=%20x&author=jane"
    assert redactor.query_string("") == ""
    assert redactor.query_string(b"a=1&token=2") == f"a=1&token={MASK}"


def test_a_secret_inside_the_value_of_another_parameter_goes() -> None:
    assert redactor.query_string("next=%2Fx%3Ftoken%3Dabc&b=1") == f"next={MASK}&b=1"
    assert redactor.query_string("q=4111+1111+1111+1111") == f"q={MASK}"
    assert redactor.query_string("4111111111111111=1") == MASK


@unhurried
@given(name=secret_name, secret=plain_planted, before=noise, after=noise)
def test_no_secret_survives_in_a_query_string(name: str, secret: str, before: str, after: str) -> None:
    for text in (f"{name}={secret}", f"a=1&{name}={secret}&b=2", f"{before}&{name}={secret}&{after}"):
        assert secret not in redactor.query_string(text)
        assert secret not in redactor.url(f"https://user:{secret}@host/path?{text}#{text}")


# -- values ---------------------------------------------------------------------------------------------------------------


class Looked(Exception):  # noqa: N818
    """Somebody looked at what may not be looked at."""


class Untouchable:
    """Whatever is done with it raises."""

    def _fail(self, *_: Any) -> Any:
        raise Looked

    __str__ = __repr__ = __bool__ = __len__ = __iter__ = __eq__ = __hash__ = __format__ = _fail  # type: ignore[assignment]


def test_a_lazy_object_is_not_evaluated() -> None:
    def fail() -> None:
        raise Looked

    assert redactor.attribute("user", SimpleLazyObject(fail)) == "SimpleLazyObject"


def test_a_lazy_object_that_is_evaluated_tells_what_it_wraps() -> None:
    lazy = SimpleLazyObject(lambda: decimal.Decimal(1))
    assert str(lazy) == "1"
    assert redactor.attribute("user", lazy) == "SimpleLazyObject (Decimal)"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("page", 3, "3"),
        ("page", "three", "'three'"),
        ("page", None, "None"),
        ("csrf_processing_done", True, "True"),
        ("csrf_token", "abc", MASK),
        ("password", 5, MASK),
        ("session", object(), "object"),
        ("items", [1, 2], "list, 2 long"),
        ("blob", b"\x00\x01", "bytes, 2 long"),
        ("when", dt.date(2024, 1, 2), "2024-01-02"),
        ("text", SafeString("x"), "SafeString"),
        ("text", lazystr("x"), "__proxy__"),
        ("huge", 1 << 5000, "int of 5001 bits"),
        ("link", "see https://u:p@h/", f"'see https://{MASK}@h/'"),
    ],
)
def test_an_attribute_is_told_by_value_when_plain_and_else_by_type(name: str, value: object, told: str) -> None:
    assert redactor.attribute(name, value) == told


def test_nothing_is_asked_of_what_is_not_plain() -> None:
    thing = Untouchable()
    assert redactor.attribute("thing", thing) == "Untouchable"
    assert redactor.attribute("things", [thing]) == "list, 1 long"
    assert redactor.kwargs({"thing": thing, "things": (thing,)}) == {"thing": "Untouchable", "things": "[Untouchable]"}
    assert redactor.sql_params("SELECT %s", [thing]) == ["Untouchable"]
    assert redactor.sql_params("SELECT %s", thing) == ["Untouchable"]
    assert redactor.log("x", "it is %s", (thing,)) == "it is <Untouchable>"
    assert redactor.log("x", thing, ()) == "<Untouchable>"
    assert redactor.text(thing) == "<Untouchable>"


def test_arguments_of_a_view_are_told_as_text() -> None:
    number = uuid.UUID(int=7)
    told = redactor.kwargs({"slug": "hello", "pk": 3, "token": "abc", "id": number, "path": "a" * 1000})
    assert told["slug"] == "hello"
    assert told["pk"] == "3"
    assert told["token"] == MASK
    assert told["id"] == str(number)
    assert len(told["path"]) == VALUE_KEPT


@unhurried
@given(name=secret_name, secret=plain_planted)
def test_no_secret_survives_as_a_value(name: str, secret: str) -> None:
    assert secret not in redactor.attribute(name, secret)
    assert secret not in redactor.attribute("harmless", f"{name}={secret}")
    assert secret not in redactor.attribute("blob", secret.encode())
    assert secret not in str(redactor.kwargs({name: secret, "b": f"{name}: {secret}", "c": [f"{name}: {secret}"]}))


# -- SQL ------------------------------------------------------------------------------------------------------------------


def test_parameters_are_told_as_python_writes_them() -> None:
    params = ("x", 1, None, True, 2.5, b"abc", decimal.Decimal("1.5"), dt.date(2024, 1, 2), "y" * 1000)
    told = redactor.sql_params("SELECT * FROM shop WHERE a = %s", params)
    assert told is not None
    assert told[:8] == ["'x'", "1", "None", "True", "2.5", "bytes, 3 long", "1.5", "2024-01-02"]
    assert len(told[8]) <= VALUE_KEPT
    assert redactor.sql_params("SELECT 1", None) is None
    assert redactor.sql_params("SELECT 1", ()) == []
    assert redactor.sql_params("SELECT %(a)s", {"a": 1, "password": "x"}) == ["1", MASK]


def test_parameters_are_bounded_in_number() -> None:
    assert len(redactor.sql_params("SELECT 1", list(range(5000))) or ()) == ITEMS_KEPT


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE auth_user SET password = %s WHERE id = %s",
        'SELECT 1 FROM "django_session" WHERE "session_key" = %s AND b = %s',
        "INSERT INTO authtoken_token (key, user_id) VALUES (%s, %s)",
        "SELECT id, CASE WHEN password = %s THEN 1 END FROM auth_user WHERE id = %s",
        "SELECT a FROM shop WHERE licence = %s AND b = %s",
    ],
)
def test_parameters_of_secret_columns_and_tables_are_all_hidden(sql: str) -> None:
    assert redactor.sql_params(sql, ("x", 1)) == [MASK, MASK]


def test_reading_a_secret_column_does_not_hide_by_what_it_was_found() -> None:
    sql = 'SELECT "auth_user"."id", "auth_user"."password" FROM "auth_user" WHERE "auth_user"."id" = %s'
    assert redactor.sql_params(sql, (5,)) == ["5"]


def test_values_written_into_a_statement_are_hidden_with_a_secret_column() -> None:
    assert redactor.sql("UPDATE u SET password = 'it''s', pin = 123 WHERE a = 1.5") == (
        f"UPDATE u SET password = {MASK}, pin = {MASK} WHERE a = {MASK}"
    )
    harmless = "SELECT a1 FROM shop WHERE name = 'x' LIMIT 21"
    assert redactor.sql(harmless) == harmless
    assert redactor.sql("SELECT token FROM t WHERE token = %s LIMIT 21").endswith("token = %s LIMIT 21")


@unhurried
@given(
    secret=planted.filter(lambda text: "'" not in text), column=st.sampled_from(["password", "api_key", "csrf_token"])
)
def test_no_secret_survives_in_sql(secret: str, column: str) -> None:
    for sql in (f"SELECT a FROM t WHERE {column} = '{secret}'", f"UPDATE t SET x = '{secret}', {column} = '{secret}'"):
        assert secret not in redactor.sql(sql)
        assert secret not in str(redactor.sql_params(sql, [secret, {"a": secret}, (secret,)]))
        assert secret not in redactor.log("django.db.backends.x", "(%.3f) %s; args=%s; %s", (0.1, sql, (secret,), "a"))


# -- running text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("password=abc user=bob", f"password={MASK} user=bob"),
        ("{'password': 'x y', 'a': 1}", f"{{'password': {MASK}, 'a': 1}}"),
        ('{"password":"x","b":2}', f'{{"password":{MASK},"b":2}}'),
        ("<QueryDict: {'token': ['x', 'y'], 'a': ['1']}>", f"<QueryDict: {{'token': {MASK} 'a': ['1']}}>"),
        ("Authorization: Digest a=1, b=2\nnext line", f"Authorization: {MASK}\nnext line"),
        ("time: token: abc", f"time: token: {MASK}"),
        ("session id: abc", f"session id: {MASK}"),
        ("sent Bearer abc to it", f"sent Bearer {MASK} to it"),
        ("connect postgres://u:p@host/db", f"connect postgres://{MASK}@host/db"),
        ("as https://token_of_me:abc@host/", f"as https://{MASK}@host/"),
        ("paid with 4111 1111 1111 1111 today", f"paid with {MASK} today"),
        ("row 12 4111-1111-1111-1111", f"row 12 {MASK}"),
        ("number 4111111111111112", "number 4111111111111112"),
        ("key django.contrib.sessions.cacheabc123", f"key django.contrib.sessions.cache{MASK}"),
        ("eyJhbGciOiJI.eyJzdWIi.c2ln here", f"{MASK} here"),
        ("clone with ghp_abcdefghijklmnop", f"clone with {MASK}"),
        ("GET /x/?page=2 took 5 ms: ok", "GET /x/?page=2 took 5 ms: ok"),
        ("the author said: keyword=yes", "the author said: keyword=yes"),
        ("", ""),
    ],
)
def test_secrets_in_running_text_are_hidden_and_the_rest_stays(text: str, told: str) -> None:
    assert redactor.text(text) == told


@unhurried
@given(name=secret_name, secret=plain_planted, before=noise, after=noise)
def test_no_secret_survives_in_running_text(name: str, secret: str, before: str, after: str) -> None:
    for text in (
        f"{name}={secret}",
        f"{name}: {secret}",
        f"{name} = {secret}",
        f"{name} => '{secret} {secret}'",
        json.dumps({name: secret, "a": 1}),
        json.dumps({"a": {"b": [], name: [secret, secret]}}, separators=(",", ":")),
        repr({name: secret}),
        repr({name: secret.encode()}),
        repr(json.dumps({name: secret})),
        f"https://{secret}:{secret}@host/",
        f"Bearer {secret}",
        f"/path?{name}={secret}&b=1",
    ):
        for whole in (text, f"{before} {text} {after}", f"{before}\n{text}\n{after}"):
            assert secret not in redactor.text(whole)
            assert secret not in redactor.log("any", "%s", (whole,))
            assert secret not in redactor.log("any", whole, ())


@unhurried
@given(secret=plain_planted, name=secret_name)
def test_no_secret_survives_among_the_arguments_of_a_log_call(secret: str, name: str) -> None:
    assert secret not in redactor.log("any", f"got {name}=%s and %s", (secret, 1))
    assert secret not in redactor.log("any", f"%({name})s", {name: secret})
    assert secret not in redactor.log("any", "failed: %s", (ValueError(f"{name}={secret}"),))
    assert secret not in redactor.log("any", "%d", (f"{name}={secret}",))


@unhurried
@given(
    digits=st.sampled_from(["4111111111111111", "378282246310005", "6011111111111117", "5555555555554444"]),
    separator=st.sampled_from(["", " ", "-"]),
    before=st.text(string.ascii_letters + " ", max_size=20),
)
def test_no_card_number_survives(digits: str, separator: str, before: str) -> None:
    grouped = separator.join(digits[start : start + 4] for start in range(0, len(digits), 4))
    for text in (grouped, f"{before} {grouped}.", f"12 {grouped} 34"):
        assert grouped not in redactor.text(text)
        assert grouped not in redactor.header("X-Note", text)
        assert grouped not in str(redactor.sql_params("SELECT 1", [text]))


@unhurried
@given(secret=plain_planted, padding=st.integers(0, 80))
def test_a_secret_at_the_edge_of_what_is_kept_does_not_survive_in_part(secret: str, padding: int) -> None:
    for limit, tell in ((TEXT_KEPT, redactor.text), (HEADER_KEPT, lambda text: redactor.header("X-Note", text))):
        for text in ("password=" + secret, "4111 1111 1111 1111", f"Bearer {secret}", f"https://u:{secret}@host/"):
            told = tell("x " * ((limit - padding) // 2) + text + " y" * limit)
            assert secret[:8] not in told
            assert "4111 1111" not in told
            assert len(told) <= limit


# -- anything -------------------------------------------------------------------------------------------------------------


@unhurried
@given(one=wild, other=wild)
def test_no_input_makes_it_raise(one: Any, other: Any) -> None:
    assert encodable(redactor.header(one, other))
    assert encodable(redactor.cookie(one, other))
    assert encodable(redactor.query_string(one))
    assert encodable(redactor.url(one))
    assert encodable(redactor.text(one))
    assert encodable(redactor.sql(one))
    assert encodable(redactor.attribute(one, other))
    assert encodable(redactor.kwargs({"a": one, str(other): other}))
    assert encodable(redactor.sql_params(one, [other]))
    assert encodable(redactor.sql_params(one, other))
    assert encodable(redactor.sql_params(one, {"a": other}))
    assert encodable(redactor.log("x", one, (other,)))
    assert encodable(redactor.log("django.db.backends", one, (one, other, one, other)))
    assert encodable(redactor.log("x", one, {"a": other}))


@pytest.mark.parametrize(
    "text", ["a=", "1 ", "'", "password=", "\\", "((", "[", "x://", "eyJ", "a.b-", "\ud800", "%", "&"]
)
def test_huge_texts_are_bounded(text: str) -> None:
    huge = text * 200_000
    for told in (redactor.text(huge), redactor.query_string(huge), redactor.header("X-A", huge), redactor.url(huge)):
        assert len(told) <= TEXT_KEPT
        assert encodable(told)
    assert encodable(redactor.sql(huge))
